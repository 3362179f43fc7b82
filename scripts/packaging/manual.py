"""Man pages, made of what a program says of its own commands and options."""

import json
import pathlib
import subprocess


def definition(program: pathlib.Path) -> dict:
    done = subprocess.run([program, "--experimental-dump-help"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["command"]


def escaped(text: str) -> str:
    """As troff takes it: no line begins with a control character, hyphens stay what they are."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in lines)


def spelling(argument: dict) -> str:
    names = [
        ("--" if name["kind"].startswith("long") and name["kind"] != "longWithSingleDash" else "-") + name["name"]
        for name in argument.get("names", [])
    ]
    value = f"<{argument.get('valueName', 'value')}>"
    if argument["kind"] == "positional":
        return value
    return ", ".join(names) + (f" {value}" if argument["kind"] == "option" else "")


def synopsis(names: list[str], command: dict) -> str:
    parts = [f"\\fB{escaped(' '.join(names))}\\fR"]
    for argument in command.get("arguments", []):
        if argument.get("shouldDisplay", True):
            text = escaped(spelling(argument).split(", ")[-1])
            parts.append(f"[{text}]" if argument.get("isOptional") else text)
    if command.get("subcommands"):
        parts.append("<subcommand>")
    return " ".join(parts)


def section(names: list[str], command: dict) -> list[str]:
    lines = [f".SS {escaped(' '.join(names))}", synopsis(names, command), ".PP"]
    for text in (command.get("abstract"), command.get("discussion")):
        if text:
            lines += [".nf" if "\n  " in text else ".PP", escaped(text)]
            lines += [".fi"] if "\n  " in text else []
    for argument in command.get("arguments", []):
        if argument.get("shouldDisplay", True):
            lines += [".TP", f"\\fB{escaped(spelling(argument))}\\fR", escaped(argument.get("abstract") or "\\&")]
            if argument.get("defaultValue"):
                lines.append(escaped(f"Default: {argument['defaultValue']}."))
    for inner in command.get("subcommands", []):
        if inner["commandName"] != "help" and inner.get("shouldDisplay", True):
            lines += section([*names, inner["commandName"]], inner)
    return lines


def page(program: pathlib.Path, number: int, version: str, date: str) -> str:
    """The whole page, in troff's man macros."""
    command = definition(program)
    name = command["commandName"]
    lines = [
        f'.TH {name.upper()} {number} "{date}" "GoClaw Nodes {version}"', ".SH NAME",
        f"{escaped(name)} \\- {escaped((command.get('abstract') or '').rstrip('.'))}", ".SH SYNOPSIS",
        synopsis([name], command), ".SH COMMANDS", *section([name], command), ".SH SEE ALSO",
        "/usr/share/doc/goclaw\\-nodes/operators.md",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
