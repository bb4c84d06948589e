"""The routes that the services' sources add, for tests that must not leave one out."""

import pathlib
import re

from stack import ROOT


def sources(service):
    return sorted((pathlib.Path(ROOT) / "Services" / service).rglob("*.swift"))


def registered(service):
    """The routes that a service's sources add, as (method, pattern)."""
    found = set()
    for file in sources(service):
        text = file.read_text()
        calls = re.findall(r'router\.add\(\s*\.(\w+),\s*(prefix \+ )?"([^"]+)"', text)
        assert len(calls) == text.count("router.add("), f"{file} adds a route in a way that is not understood here"
        prefixes = re.findall(r"for prefix in \[(.*)\]", text)
        for method, prefixed, pattern in calls:
            before = re.findall(r'"([^"]+)"', prefixes[0]) if prefixed else [""]
            found |= {(method.upper(), prefix + pattern) for prefix in before}
    return found


def registered_publicly(service):
    return {(method, pattern) for method, pattern in registered(service) if not pattern.startswith("/internal/")}


def route_of(method, path, routes):
    """The route that takes a request: literals go before parameters."""
    def fits(pattern):
        return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path.split("?")[0])

    fitting = [pattern for known, pattern in routes if known == method and fits(pattern)]
    return (method, min(fitting, key=lambda pattern: pattern.count("{"))) if fitting else None
