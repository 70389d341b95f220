#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""packaged.py FILE INSTALLED... - print a document as it is installed: in one folder with INSTALLED

Links lead there. Of a link to what is not installed the text stays; of such a picture nothing does.
"""
import os
import re
import sys


def main():
    path, *installed = sys.argv[1:]
    installed = {os.path.basename(name) for name in installed}

    def link(match):
        is_picture, text, target = match.groups()
        name, _, anchor = target.partition("#")
        if "://" in target or not name:
            return match.group()
        if os.path.basename(name) in installed:
            return f"{is_picture}[{text}]({os.path.basename(name)}{'#' * bool(anchor)}{anchor})"
        return "" if is_picture else text

    with open(path, encoding="utf-8") as document:
        print(re.sub(r"(!?)\[([^][]*)\]\(([^()\s]+)\)", link, document.read()), end="")


if __name__ == "__main__":
    main()
