import { follow } from "/assets/common.js";

follow();
