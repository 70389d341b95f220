#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-pages.py - the manual pages against what they describe

Functions against the library's map, options, commands, variables and exit codes against the
help that the programs print, keys against the daemon's tables and the installed config.
Whatever is on one side only is named.

test-pages.py lint - what mandoc thinks of their form
test-pages.py html - whether each page is there as HTML, and each link in it leads somewhere
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["SOURCE"])
PAGES = pathlib.Path(os.environ["PAGES"])
n_failed = 0


def check(what, problems):
    global n_failed
    problems = list(problems)
    print("not ok" if problems else "ok", "-", what)
    for problem in problems:
        print("#", problem)
    n_failed += bool(problems)


def same(left, one, right, other):
    """What only one of two sides has."""
    for item in sorted(set(one) - set(other)):
        yield f"{item}: in {left}, not in {right}"
    for item in sorted(set(other) - set(one)):
        yield f"{item}: in {right}, not in {left}"


def source(path):
    return (SOURCE / path).read_text(encoding="utf-8")


def page(name):
    return (PAGES / name).read_text(encoding="utf-8")


def section(text, title):
    """Of a page, from one heading to the next."""
    found = re.search(rf'^\.Sh "?{title}"?\n(.*?)(?=^\.Sh |\Z)', text, re.M | re.S)
    return found.group(1) if found else ""


def items(text, macro):
    """The arguments of list items that begin with a macro."""
    return [line.split()[2:] for line in re.findall(rf"^\.It {macro} .*$", text, re.M)]


def lint():
    for path in sorted(PAGES.glob("mempool*.[0-9]")):
        if path.read_text(encoding="utf-8").startswith(".so "):
            continue
        result = subprocess.run(["mandoc", "-Tlint", "-Wwarning", path], text=True,
                                capture_output=True)
        yield from (result.stdout + result.stderr).splitlines()


def html():
    built = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.html")}
    pages = [path.name for path in (SOURCE / "docs/man").glob("mempool*.[0-9]")]
    linked = re.findall(r'href="([^"#]+)"', built.get("index.html", ""))
    yield from same("docs/man", [f"{name}.html" for name in pages], "index.html", linked)
    for name, text in built.items():
        for target, anchor in re.findall(r'href="([^"#]*)#?([^"]*)"', text):
            there = built.get(target or name)
            if there is None or (anchor and f'id="{anchor}"' not in there):
                yield f"{name}: no {target}#{anchor}"
    if 'href="mempool_alloc.3.html"' not in built.get("mempool.7.html", ""):
        yield "mempool.7.html: does not lead to mempool_alloc(3)"
    # It is explained in another one's page.
    if not re.search(r'href="mempool_alloc.3.html">mempool_free\(3\)', "".join(built.values())):
        yield "nothing leads to mempool_free(3)"


def functions():
    symbols = re.findall(r"^\t(mempool_\w+);", source("client/libmempool.map"), re.M)
    named = []
    for path in PAGES.glob("*.3"):
        text = path.read_text(encoding="utf-8")
        if text.startswith(".so "):
            target = PAGES / pathlib.Path(text.split()[1]).name
            if path.stem not in target.read_text(encoding="utf-8"):
                yield f"{path.name}: {target.name} does not name it"
            continue
        names = re.findall(r"^\.Nm (\w+)", section(text, "NAME"), re.M)
        named += names
        yield from (f"{path.name}: {name} has no page of its name" for name in names
                    if not (PAGES / f"{name}.3").exists())
        synopsis = re.findall(r"^\.F[no] (\w+)", section(text, "SYNOPSIS"), re.M)
        yield from same(f"SYNOPSIS of {path.name}", synopsis, "its NAME", names)
        yield from (f"{path.name}: no {title}" for title in ("RETURN VALUES", "EXAMPLES")
                    if not section(text, title))
    yield from same("the library's map", symbols, "section 3", named)


def cpp():
    """mempool.hpp(7) names each class, and each function that may fail; not what is of detail or private."""
    header = re.sub(r"^namespace detail$.*?^} // namespace detail$|^private:$.*?^};$", "",
                    source("include/mempool.hpp"), flags=re.M | re.S)
    text = page("mempool.hpp.7")
    classes = re.findall(r"^(?:template <[^>]*> )?(?:class|struct) (?:\[\[nodiscard\]\] )?(\w+)(?: :.*)?(?: {)?$", header,
                         re.M)
    functions = re.findall(r"^\t(?:template <.*?> )?(?:static )?result<[\w:<> ]*> (\w+)\(", header, re.M)
    if len(classes) < 15 or len(set(functions)) < 35:
        yield f"only {len(classes)} classes and {len(set(functions))} functions were found"
    yield from (f"class {name} is not in it" for name in sorted(set(classes))
                if not re.search(rf"\.(?:It )?Vt (?:.* )?{name}\b", text))
    yield from (f"{name}() is not in it" for name in sorted(set(functions))
                if not re.search(rf"Fn {name}\b", text))


def design():
    """docs/DESIGN.md shows the whole API, each function once."""
    symbols = re.findall(r"^\t(mempool_\w+);", source("client/libmempool.map"), re.M)
    block = re.search(r"^### The C API.*?^```c\n(.*?)^```$", source("docs/DESIGN.md"), re.M | re.S).group(1)
    return same("the library's map", symbols, "docs/DESIGN.md",
                re.findall(r"\b(mempool_\w+)\(", re.sub(r"/\*.*?\*/", "", block)))


def codes():
    """What a function's comment in mempool.h names stands in its page, too."""
    for comment in re.findall(r"/\*\*(.*?)\*/", source("include/mempool.h"), re.S):
        name = re.search(r"\b(mempool_\w+)\(\)", comment).group(1)
        path = PAGES / f"{name}.3"
        text = path.read_text(encoding="utf-8")
        if text.startswith(".so "):
            text = page(pathlib.Path(text.split()[1]).name)
        named = set(re.findall(r"\bE[A-Z]{2,}\b", text))
        yield from (f"{name}: {code} is not in its page" for code in
                    sorted(set(re.findall(r"(?<![A-Z_])E[A-Z]{2,}\b", comment)) - named))


def meanings():
    """What mempool(7) lists as codes has words in mempool_strerror(), and nothing else has."""
    in_code = re.findall(r"^\t{ (E[A-Z]+), \"", source("client/error.c"), re.M)
    listed = section(page("mempool.7"), "DESCRIPTION")
    in_page = re.findall(r"\bE[A-Z]{3,}\b", " ".join(re.findall(r"^\.It Bq Er .*$", listed, re.M)))
    yield from same("client/error.c", in_code, "mempool(7)", in_page)


def used_examples():
    files = [path.name for path in (SOURCE / "docs/man/examples").iterdir()]
    used = []
    for path in (SOURCE / "docs/man").glob("mempool*.[0-9]"):
        used += re.findall(r'^\.\\" @include (\S+)$', path.read_text(encoding="utf-8"), re.M)
    return same("docs/man/examples", files, "the pages", used)


def protocol():
    """Type, name and size of each message, in the header and in docs/protocol.md."""
    header = source("include/mempool_protocol.h")
    structs = dict(re.findall(r"^struct mempool_msg_(\w+) \{\n(.*?)^\};", header, re.M | re.S))
    sizes = dict(re.findall(r"sizeof\(struct mempool_msg_(\w+)\) == (\d+)", header))
    for name, body in structs.items():
        if body.strip() == "struct mempool_msg msg;":
            sizes[name] = "16"
    types = re.findall(r"MEMPOOL_MSG_(\w+) = (0x\w+),", header)
    in_code = [f"{number} {name} {sizes.get(name.lower(), '?')}" for name, number in types]
    rows = re.findall(r"^\| (0x\w+) \| (\w+) \| (\d+) \|", source("docs/protocol.md"), re.M)
    return same("mempool_protocol.h", in_code, "docs/protocol.md", map(" ".join, rows))


def help_of(program):
    return subprocess.run([os.environ[program], "--help"], text=True, check=True,
                          capture_output=True).stdout


def options(program, name):
    text = page(name)
    in_page = []
    for words in items(section(text, "OPTIONS"), "Fl"):
        words = ["Fl"] + words
        flags = " ".join(words).replace("Fl Fl ", "Fl -").split(" ")
        in_page += ["-" + flags[i + 1] for i, word in enumerate(flags) if word == "Fl"]
    in_help = re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", help_of(program))
    return same(f"{program} --help", in_help, name, in_page)


def commands(program, name):
    block = re.search(r"^Commands:\n((?:  .*\n)+)", help_of(program), re.M).group(1)
    in_help = re.findall(r"^  ((?:\S+ )+) ", block, re.M)
    in_page = [re.sub(r"Op Ar (\S+)(?: (\.\.\.))?", r"[\1]\2", " ".join(words)).replace("Ar ", "") + " "
               for words in items(section(page(name), "COMMANDS"), "Cm")]
    return same(f"{program} --help", in_help, name, in_page)


def statuses(program, name):
    text = re.search(r"^Exit status: (.*)\Z", help_of(program), re.M | re.S).group(1)
    in_page = re.findall(r"^\.It (\d+)$", section(page(name), "EXIT STATUS"), re.M)
    return same(f"{program} --help", re.findall(r"\b\d+\b", text), name, in_page)


def variables(name, folder):
    in_page = [words[0] for words in items(section(page(name), "ENVIRONMENT"), "Ev")]
    in_code = []
    for path in (SOURCE / folder).rglob("*.c"):
        in_code += re.findall(r'\bgetenv\("(\w+)"\)', path.read_text(encoding="utf-8"))
    # Read for them by libc and libsystemd.
    library = {"LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "WATCHDOG_PID"}
    return same(folder, in_code, name, [word for word in in_page if word not in library])


def configs():
    """Those in pages and examples are right, and mempoold(8) shows what is said of ours."""
    examples = SOURCE / "docs/man/examples"
    command = [os.environ["MEMPOOLD"], "--check-config", "--config"]
    for path in [*sorted(examples.glob("*.yaml")), SOURCE / "examples/mempool.yaml"]:
        result = subprocess.run(command + [path], text=True, capture_output=True)
        if result.returncode or result.stderr:
            yield f"{path.name}: {result.stderr}"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        # Only root's group is everywhere.
        text = source("conf/mempool.yaml").replace("group: mempool", "group: 0")
        config.write(text.replace("groups: [mempool]", "groups: [0]"))
        config.flush()
        said = subprocess.run(command + [config.name], text=True, capture_output=True).stdout
    said = said.replace(config.name, "/etc/mempool.yaml")
    expected = (examples / "check-config.out").read_text(encoding="utf-8")
    if said != expected:
        yield f"check-config.out: mempoold says: {said}"


def keys():
    in_code = set()
    for path in (SOURCE / "daemon/config").glob("*.c"):
        in_code |= set(re.findall(r'^\t\{ "(\w+)", read_\w+, (?:true|false) \},$',
                                  path.read_text(encoding="utf-8"), re.M))
    in_config = set()
    for line in source("conf/mempool.yaml").splitlines():
        # A # directly before a word or a list: a key; before a space: prose.
        if not re.match(r"\s*#(\s|$)", line):
            in_config |= set(re.findall(r"(\w+):(?=\s|$)", line))
    in_page = {words[0] for words in items(page("mempool.yaml.5"), "Cm")}
    yield from same("daemon/config", in_code, "mempool.yaml(5)", in_page)
    yield from same("daemon/config", in_code, "conf/mempool.yaml", in_config)


if sys.argv[1:] == ["lint"]:
    if not shutil.which("mandoc"):
        print("mandoc is not installed")
        sys.exit(77)
    check("mandoc finds nothing", lint())
    sys.exit(n_failed > 0)
if sys.argv[1:] == ["html"]:
    check("each page as HTML, and each link in it", html())
    sys.exit(n_failed > 0)

check("every function, and no other, has its page", functions())
check("every class and function of mempool.hpp is in its page", cpp())
check("every function is in docs/DESIGN.md", design())
check("every code that the header names is in the page", codes())
check("codes of mempool(7) and mempool_strerror()", meanings())
check("every example is in a page, and every page finds its own", used_examples())
check("messages of docs/protocol.md", protocol())
for program, name in (("MEMPOOLD", "mempoold.8"), ("MEMPOOLCTL", "mempoolctl.1")):
    check(f"options of {name}", options(program, name))
    check(f"exit codes of {name}", statuses(program, name))
check("commands of mempoolctl.1", commands("MEMPOOLCTL", "mempoolctl.1"))
check("variables of mempoold.8", variables("mempoold.8", "daemon"))
check("variables of mempoolctl.1", variables("mempoolctl.1", "ctl"))
check("keys of mempool.yaml.5", keys())
check("configs in pages and examples", configs())
sys.exit(n_failed > 0)
