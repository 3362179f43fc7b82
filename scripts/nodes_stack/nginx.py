"""Renders nginx's development configuration."""

import os
import pathlib
import re
import resource

from .accounts import Account

OPEN_FILES_WANTED = 65536
OPEN_FILES_SPARED = 256

GATEWAY_STATUS = """\
        location ~ ^/gateway/{index}/(healthz|readyz|metrics)$ {{
            proxy_pass http://gateway_{index}/$1;
        }}
"""
KERNEL_STATUS = """\
        location ~ ^/kernel/{index}/(healthz|readyz|metrics)$ {{
            set $nodes_request_uri /$1;
            fastcgi_param NODES_LISTENER status;
            include snippets/kernel.conf;
            fastcgi_pass kernel_{index};
        }}
"""
DIRECT = """\
    # For tests alone: everything to one chosen process.
    server {{
        listen 127.0.0.1:{port};
        server_name _;
        root "{templates}";
        include snippets/site.conf;
        location = /ws {{
            include snippets/gateway.conf;
            proxy_pass http://gateway_{gateway};
        }}
        location = /events {{
            include snippets/gateway.conf;
            proxy_pass http://gateway_{gateway};
        }}
        location = /gateway {{
            include snippets/gateway.conf;
            proxy_pass http://gateway_{gateway};
        }}
        location /v1/ {{
            client_max_body_size 1m;
            include snippets/gateway.conf;
            proxy_pass http://gateway_{gateway};
        }}
        location = /mcp {{
            client_max_body_size 1m;
            include snippets/gateway.conf;
            proxy_pass http://gateway_{gateway};
        }}
        location / {{
            include snippets/kernel.conf;
            fastcgi_pass kernel_{kernel};
        }}
    }}
"""


def upstream(name: str, sockets: list[pathlib.Path], policy: str = "") -> str:
    servers = "".join(f"        server unix:{socket} max_fails=0;\n" for socket in sockets)
    return f"    upstream {name} {{\n{policy}{servers}    }}\n"


def render(
    template: pathlib.Path,
    *,
    account: Account,
    run: pathlib.Path,
    log: pathlib.Path,
    templates: pathlib.Path,
    port: int,
    status_port: int,
    gateways: list[pathlib.Path],
    kernels: list[pathlib.Path],
    direct_ports: list[int] = [],
) -> str:
    """The final configuration.

    `direct_ports` adds listeners of which the n-th passes everything to the n-th gateway and kernel.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)

    upstreams = upstream("nodes_gateways", gateways, "        least_conn;\n")
    upstreams += upstream("nodes_kernels", kernels)
    upstreams += "".join(upstream(f"gateway_{i}", [socket]) for i, socket in enumerate(gateways))
    upstreams += "".join(upstream(f"kernel_{i}", [socket]) for i, socket in enumerate(kernels))

    status = "".join(GATEWAY_STATUS.format(index=i) for i in range(len(gateways)))
    status += "".join(KERNEL_STATUS.format(index=i) for i in range(len(kernels)))

    direct = "".join(
        DIRECT.format(port=p, templates=templates, gateway=i % len(gateways), kernel=i % len(kernels))
        for i, p in enumerate(direct_ports)
    )
    values = {
        # Without root there is nobody to become, and nginx warns of the directive.
        "user": f"user {account.name} {account.group};" if os.geteuid() == 0 else "",
        "workers": max(2, os.cpu_count() or 2),
        "open_files": open_files,
        "connections": open_files - OPEN_FILES_SPARED,
        "run": run,
        "log": log,
        "templates": templates,
        "port": port,
        "status_port": status_port,
        "upstreams": upstreams,
        "status": status,
        "direct": direct,
    }
    return re.sub(r"@(\w+)@", lambda match: str(values[match[1]]), template.read_text())
