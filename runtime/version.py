"""The version of Mindstream: here, and nowhere else."""

VERSION = "0.1.0"
