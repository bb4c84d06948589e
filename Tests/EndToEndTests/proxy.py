"""An nginx that leads other services to whichever instance of a service answers."""

MAIN = """
worker_processes 1;
pid {directory}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 2m;
    {services}
}}
"""
SERVICE = """
    upstream service_{port} {{
        {servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location = /proxy {{ return 204; }}
        location / {{
            proxy_pass http://service_{port};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout 1s;
            proxy_next_upstream error timeout http_503 non_idempotent;
        }}
    }}
"""


def write_proxy(directory, ports):
    """Makes the directory with an nginx.conf: each port leads to those that it stands for."""
    directory.mkdir(mode=0o755)
    services = [
        SERVICE.format(port=port, servers=" ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in instances))
        for port, instances in ports.items()
    ]
    (directory / "nginx.conf").write_text(MAIN.format(directory=directory, services="".join(services)))
