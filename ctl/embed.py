#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py PAGE - print a C file with the page, and the policy that it is served under

The policy (CSP) allows the page's own script and style by their hashes, and requests to
where it came from; nothing else, whatever might get into the page.
"""
import base64
import hashlib
import pathlib
import re
import sys

page = pathlib.Path(sys.argv[1]).read_bytes()


def source(tag):
    body, = re.findall(b"<" + tag + b">(.*?)</" + tag + b">", page, re.S)
    return "'sha256-" + base64.b64encode(hashlib.sha256(body).digest()).decode() + "'"


policy = "; ".join([
    "default-src 'none'",
    "script-src " + source(b"script"),
    "style-src " + source(b"style"),
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
])
print('/* Made by ctl/embed.py. */\n#include "ctl/page.h"\n')
print(f'const char page_policy[] = "{policy}";\n')
print(f"const size_t page_size = {len(page)};\nconst unsigned char page_html[] = {{")
for at in range(0, len(page), 16):
    print("\t" + " ".join(f"{byte}," for byte in page[at:at + 16]))
print("};")
