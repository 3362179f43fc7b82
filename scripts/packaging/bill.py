"""What the package is made of and under which licences: an SBOM (SPDX 2.3) and the texts that have to come with it."""

import datetime
import hashlib
import json
import pathlib
import re
import sys
import uuid

APACHE = "Apache-2.0"


def licence(text: str, name: str) -> str:
    """The licence's name in SPDX's list. One that nobody has looked at yet stops the packaging."""
    if "Apache License" in text and "Version 2.0" in text:
        return f"{APACHE} WITH Swift-exception" if "Runtime Library Exception" in text else APACHE
    sys.exit(f"the licence of {name} is none that scripts/packaging/bill.py knows: read it, and add it there")


class Component:
    """A package that ours is made of, or needs."""

    def __init__(self, name: str, version: str, *, location: str, purl: str, declared: str, text="", notice=""):
        self.name = name
        self.version = version
        self.location = location
        self.purl = purl
        self.declared = declared
        self.text = text
        self.notice = notice

    @property
    def identifier(self) -> str:
        return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", self.name)

    def spdx(self) -> dict:
        return {
            "SPDXID": self.identifier,
            "name": self.name,
            "versionInfo": self.version,
            "downloadLocation": self.location,
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": self.declared,
            "copyrightText": "NOASSERTION",
            "externalRefs": [
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": self.purl}
            ],
        }


def swift_packages(root: pathlib.Path) -> list[Component]:
    """What SwiftPM resolved, as it was built."""
    found = []
    for pin in json.loads((root / "Package.resolved").read_text())["pins"]:
        location, state = pin["location"], pin["state"]
        checkout = root / ".build/checkouts" / location.split("/")[-1].removesuffix(".git")
        text = next(iter(sorted(checkout.glob("LICENSE*")))).read_text()
        notices = sorted(checkout.glob("NOTICE*"))
        version = state.get("version", state["revision"])
        path = re.sub(r"^https://|\.git$", "", location)
        found.append(
            Component(
                pin["identity"], version,
                location=f"git+{location}@{state['revision']}", purl=f"pkg:swift/{path}@{version}",
                declared=licence(text, pin["identity"]), text=text, notice=notices[0].read_text() if notices else "",
            )  # fmt: skip
        )
    return found


def swift_runtime(version: str, text: str) -> Component:
    """The toolchain's libraries that come with the package."""
    return Component(
        "swift-runtime", version,
        location="https://www.swift.org/install/", purl=f"pkg:generic/swift-runtime@{version}",
        declared=licence(text, "the Swift toolchain"), text=text,
    )  # fmt: skip


def debian_packages(depends: str) -> list[Component]:
    """What Debian's own packages bring when ours is installed: their licences come with them."""
    found = []
    for entry in depends.split(","):
        name, _, rest = entry.split("|")[0].strip().partition(" ")
        version = rest.strip("()>= ") or "NOASSERTION"
        found.append(
            Component(
                name, version, location="NOASSERTION", purl=f"pkg:deb/debian/{name}", declared="NOASSERTION"
            )
        )
    return found


def sbom(number: str, time: int, contained: list[Component], needed: list[Component]) -> str:
    """The document, the same bytes for the same components."""
    ours = Component(
        "goclaw-nodes", number, location="NOASSERTION", purl=f"pkg:deb/goclaw/goclaw-nodes@{number}", declared=APACHE
    )
    components = [ours, *contained, *needed]
    digest = hashlib.sha256(json.dumps([component.spdx() for component in components]).encode()).hexdigest()
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"goclaw-nodes-{number}",
        "documentNamespace": f"https://goclaw.invalid/spdx/goclaw-nodes-{number}-{uuid.UUID(digest[:32])}",
        "creationInfo": {
            "created": datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: goclaw-nodes-packaging"],
        },
        "packages": [component.spdx() for component in components],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                "relatedSpdxElement": ours.identifier,
            },
            *[
                {
                    "spdxElementId": ours.identifier, "relationshipType": kind,
                    "relatedSpdxElement": component.identifier,
                }
                for kind, components in (("CONTAINS", contained), ("DEPENDS_ON", needed))
                for component in components
            ],
        ],
    }  # fmt: skip
    return json.dumps(document, indent=1) + "\n"


def notices(contained: list[Component]) -> str:
    """What the licences want handed on: who made what, their notices, and each licence's text once."""
    parts = ["What GoClaw Nodes contains of others, with their notices. The licences' texts are at the end.\n"]
    texts: dict[str, list[str]] = {}
    for component in contained:
        parts.append(f"{component.name} {component.version}: {component.declared}\n    {component.location}\n")
        if component.notice:
            parts.append("".join(f"    {line}\n" for line in component.notice.strip().splitlines()))
        texts.setdefault(component.text.strip(), []).append(component.name)
    for text, names in texts.items():
        parts.append(f"{'-' * 72}\nThe licence of {', '.join(names)}:\n\n{text}\n")
    return "\n".join(parts)
