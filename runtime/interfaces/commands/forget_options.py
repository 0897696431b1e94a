"""The options that say what is to be forgotten: of the command, and of `/forget` in the chat."""

from __future__ import annotations

import argparse


def add_forget_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="begin", default="", metavar="T", help='12:31, 90s, "yesterday 14:00", ...')
    parser.add_argument("--to", dest="end", default="", metavar="T", help="likewise (default: now)")
    parser.add_argument("--last", default="", metavar="LENGTH", help="the last 10m, 90s, 1h")
    parser.add_argument("--text", default="", metavar="WORDS", help="whatever holds these words")
    parser.add_argument("--source", default="", metavar="S", help="of this source alone; without more, all of it")
    parser.add_argument("--yes", action="store_true", help="without being asked")
