#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""html.py MANDOC FOLDER PAGE... - make FOLDER/PAGE.html of each manual page, and FOLDER/index.html

A link to another of these pages leads to it; to a name that another page explains, to that page. A page of the
system, such as poll(2), is no link. A page that only shows another one (.so) has no file of its own.
"""
import pathlib
import re
import subprocess
import sys

INDEX = """<!DOCTYPE html>
<html>
<head>
  <meta charset="utf-8"/>
  <meta name="viewport" content="width=device-width, initial-scale=1.0"/>
  <title>Manual pages of mempoold</title>
</head>
<body>
<h1>Manual pages of mempoold</h1>
<p>Begin with <a href="mempool.7.html">mempool(7)</a>.</p>
<table>
{}
</table>
</body>
</html>
"""


def main():
    mandoc, folder, *paths = sys.argv[1:]
    texts = {path.name: path.read_text(encoding="utf-8") for path in map(pathlib.Path, paths)}
    shown_by = {}
    for name, text in texts.items():
        shown_by[name] = text.split()[1].rpartition("/")[2] if text.startswith(".so ") else name

    def link(match):
        target, text = match.groups()
        return f'<a class="Xr" href="{shown_by[target]}.html">{text}</a>' if target in shown_by else text

    rows = []
    for path in sorted(paths, key=lambda path: (path.rpartition(".")[2], path)):
        name = pathlib.Path(path).name
        if shown_by[name] != name:
            continue
        html = subprocess.run([mandoc, "-Thtml", "-Oman=%N.%S", path], text=True, check=True,
                              capture_output=True).stdout
        html = re.sub(r'<a class="Xr" href="([^"]+)">(.*?)</a>', link, html, flags=re.S)
        pathlib.Path(folder, name + ".html").write_text(html, encoding="utf-8")
        title, section = name.rsplit(".", 1)
        about = re.search(r"^\.Nd (.*)$", texts[name], re.M).group(1)
        rows.append(f'<tr><td><a href="{name}.html">{title}({section})</a></td><td>{about}</td></tr>')
    pathlib.Path(folder, "index.html").write_text(INDEX.format("\n".join(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
