"""The recorded ABI: what renga.h promises to programs that are already built, compared with what it says now.

Usage: record.py check | write. A unit of C that defines every function of the header, with its types and bounds, is compiled with debug
information and read by libabigail: the library itself is Swift and describes no C types. That the library has exactly these functions is
.ci/check-library's check, that each has the declared types the Swift compiler's. Not here: the tests (test_record.py)."""

import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "renga.h"
CHANGELOG = ROOT / "CHANGELOG.md"
PACKAGE = ROOT / "Package.swift"
SYMBOL_MAP = ROOT / "Sources" / "RengaC" / "renga.map"
RECORD = ROOT / "Tests" / "ABITests" / "recorded" / "librenga.abi"

# Of abidiff's exit code: its own failures, and wrong use of it. What is added sets bits too, so what it found is read from its summary.
ERRORS = 1 | 2


def soname():
    """The SONAME that the package gives the library."""
    return re.search(r'"-soname", "-Xlinker", "([^"]+)"', PACKAGE.read_text(encoding="utf-8")).group(1)


def announcement(name):
    """The line of the changes without which the SONAME may not become `name`."""
    return f"- abi: the SONAME is {name} now:"


def definitions(header):
    """C that defines each function of a header, keeps each of its types, and makes its bounds enumerators."""
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.S)
    lines = ['#include "renga.h"']
    for result, name, parameters in re.findall(
            r"RENGA_API\s+(?:RENGA_MUST_CHECK\s+)?([\w\s*]+?)\s*\b(renga_\w+)\s*\(([^;]*?)\)\s*;", text):
        lines.append(f"{result} {name}({parameters}) {{ {'' if result.strip() == 'void' else 'return 0;'} }}")
    bounds = re.findall(r"^#define (RENGA_MAX_\w+) ", header, flags=re.M)
    lines.append("enum renga_bounds { " + ", ".join(f"of_{name} = {name}" for name in bounds) + " };")
    lines.append("static enum renga_bounds kept_bounds __attribute__((used));")
    for name in re.findall(r"typedef (?:enum|struct) (renga_\w+) \{", text):
        lines.append(f"static {name} kept_{name} __attribute__((used));")
    return "\n".join(lines) + "\n"


def run(*command, allowed=(0,)):
    child = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)
    if child.returncode not in allowed:
        raise RuntimeError(f"{command[0]}: {child.returncode}\n{child.stdout}{child.stderr}")
    return child


def abi_of(header, name, folder):
    """libabigail's description of a header's text, as a file in `folder`."""
    (folder / "renga.h").write_text(header, encoding="utf-8")
    (folder / "all.c").write_text(definitions(header), encoding="utf-8")
    run("gcc", "-g", "-shared", "-fPIC", "-I", folder, folder / "all.c", f"-Wl,-soname,{name}",
        f"-Wl,--version-script={SYMBOL_MAP}", "-o", folder / "all.so")
    written = folder / "now.abi"
    run("abidw", "--load-all-types", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-architecture",
        "--no-elf-needed", "--type-id-style", "hash", "--out-file", written, folder / "all.so")
    return written


class Types:
    """The structs and enums of a description, and its SONAME."""

    def __init__(self, path):
        tree = ElementTree.parse(path).getroot()
        corpus = tree if tree.tag == "abi-corpus" else tree.find("abi-corpus")
        self.soname = corpus.get("soname")
        self.structs = {node.get("name"): self.fields(node) for node in tree.iter("class-decl") if node.get("size-in-bits")}
        self.sizes = {node.get("name"): int(node.get("size-in-bits")) for node in tree.iter("class-decl") if node.get("size-in-bits")}
        self.enums = {node.get("name"): {item.get("name"): item.get("value") for item in node.iter("enumerator")}
                      for node in tree.iter("enum-decl")}

    @staticmethod
    def fields(node):
        members = []
        for member in node.iter("data-member"):
            variable = member.find("var-decl")
            members.append((variable.get("name"), int(member.get("layout-offset-in-bits")), variable.get("type-id")))
        return members

    def grows(self, name):
        """Whether a struct begins with its size, so that fields may be added at its end."""
        return self.structs[name][0][0] == "size"


def suppressions(recorded):
    """What libabigail is to let pass: fields at the end of structs that begin with their size."""
    return "".join(
        f"[suppress_type]\ntype_kind = struct\nname = {name}\n"
        f"has_data_member_inserted_between = {{offset_after({fields[-1][0]}), end}}\n\n"
        for name, fields in recorded.structs.items() if recorded.grows(name))


def type_breaks(recorded, now):
    """Structs whose old fields are not where they were, and enumerators that are not what they were: told field by field, because what
    libabigail lets pass at a struct's end hides what else changed in it."""
    for name, fields in recorded.structs.items():
        there = now.structs.get(name, [])
        for index, field in enumerate(fields):
            if there[index:index + 1] != [field]:
                yield f"struct {name}: field {field[0]} at bit {field[1]} is gone, moved or of another type"
        if there and not recorded.grows(name) and now.sizes[name] != recorded.sizes[name]:
            yield f"struct {name}: {now.sizes[name]} bits, {recorded.sizes[name]} before; it does not begin with its size"
    for name, items in recorded.enums.items():
        there = now.enums.get(name, {})
        for item, value in items.items():
            if there.get(item) != value:
                yield f"enum {name}: {item} was {value} and is {there.get(item)}"


def breaks(header, name, record=RECORD):
    """What a header under the SONAME `name` would break for programs built against the record: sentences, none where nothing."""
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        written = abi_of(header, name, folder)
        recorded = Types(record)
        (folder / "allowed.txt").write_text(suppressions(recorded), encoding="utf-8")
        child = run("abidiff", "--no-added-syms", "--non-reachable-types", "--no-show-locs", "--suppressions", folder / "allowed.txt",
                    record, written, allowed=range(16))
        if child.returncode & ERRORS:
            raise RuntimeError(f"abidiff: {child.stdout}{child.stderr}")
        found = list(type_breaks(recorded, Types(written)))
        lost = re.findall(r"summary: (\d+) removed, (\d+) changed", child.stdout, flags=re.I)
        if child.returncode != 0 and len(lost) != 3:
            raise RuntimeError(f"abidiff's summary is not understood: {child.stdout}")
        if any(count != "0" for pair in lost for count in pair) or "SONAME changed" in child.stdout:
            found += [line for line in child.stdout.splitlines() if line.strip()]
        return found


def verdict(header, name, changes, record=RECORD):
    """None where the header may be released under the SONAME `name`, else why not."""
    found = breaks(header, name, record)
    if not found:
        return None
    before = Types(record).soname
    if name == before:
        return "programs built against the recorded ABI would break; change it back, or change the SONAME:\n" + "\n".join(found)
    if not any(line.startswith(announcement(name)) for line in changes.splitlines()):
        return f"the SONAME changed from {before} to {name}, and CHANGELOG.md has no line that begins '{announcement(name)}'"
    version = [int(re.search(rf"^#define RENGA_VERSION_{part} (\d+)$", header, flags=re.M).group(1))
               for part in ("MAJOR", "MINOR", "PATCH", "OLDEST")]
    if version[0] * 10000 + version[1] * 100 + version[2] != version[3]:
        return f"the SONAME changed from {before} to {name}, and RENGA_VERSION_OLDEST is not the present version"
    return None


def main(arguments):
    if arguments not in (["check"], ["write"]):
        print("usage: record.py check | write", file=sys.stderr)
        return 2
    header, name = HEADER.read_text(encoding="utf-8"), soname()
    reason = verdict(header, name, CHANGELOG.read_text(encoding="utf-8")) if RECORD.exists() else None
    if reason:
        print(f"record: {reason}", file=sys.stderr)
        return 1
    if arguments == ["write"]:
        with tempfile.TemporaryDirectory() as folder:
            RECORD.write_bytes(abi_of(header, name, pathlib.Path(folder)).read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
