"""Adds to a published description what it leaves out, so that a tester can do its work. Prints the result.

The descriptions know few answers but those with status 200, and no values for names, dates and expressions. Added are the
errors (as Mixpanel is known to send them), and for parameters that are just "a string" some values that mean
something beside the arbitrary ones. The schemas of answers stay as they are, but for the places that contradict the
description's own words.
"""

import sys

import yaml

# Retired, or not read: the simulator serves what reads, and of what writes only events and profiles.
LEFT_OUT = ["/jql", "/lookup-tables", "/lookup-tables/{id}"]
READ_ONLY = ("/projects/",)
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
TEXT = {"type": "string"}
VERBOSE = {
    "type": "object",
    "required": ["status", "error"],
    "properties": {"status": {"type": "integer", "enum": [0, 1]}, "error": {"type": "string", "nullable": True}},
}
# Parameters without which a request gets nowhere: arbitrary texts would leave nothing else to be tested.
ALWAYS_VALID = ["project_id", "projectId", "bookmark_id", "funnel_id", "from_date", "to_date", "on", "where", "born_where", "distinct_ids"]
VALUES = {
    "project_id": [12345],
    "bookmark_id": [8801, 8802, 8803, 8804, 1],
    "funnel_id": [7501, 7502, 7503, 1],
    "from_date": ["2025-06-01", "2025-06-20"],
    "to_date": ["2025-06-21", "2025-07-01"],
    "event": ["Purchase", "Page View", '["Purchase", "Search"]'],
    "born_event": ["Signed Up", "Product Viewed"],
    "name": ["plan", "$os", "price", "Purchase"],
    "on": ['properties["plan"]', 'properties["price"]'],
    "where": ['properties["mp_lib"] == "web"', 'defined(user["plan"])'],
    "born_where": ['properties["mp_lib"] == "web"'],
    "distinct_ids": ['["user-000001", "user-000002"]'],
    "projectId": [12345],
}


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        description = yaml.safe_load(file)
    paths = description["paths"]
    for left_out in LEFT_OUT:
        paths.pop(left_out, None)
    shared = list(description["components"].get("parameters", {}).values())
    for path, methods in paths.items():
        shared += own(methods.get("parameters", []))
        if path.startswith(READ_ONLY):
            for method in ("post", "patch", "delete"):
                methods.pop(method, None)
        for method, operation in methods.items():
            if method != "parameters":
                shared += complete(description, operation)
    for parameter in shared:
        values = VALUES.get(parameter["name"])
        if values:
            kind = parameter["schema"]["type"]
            values = [str(value) if kind == "string" else value for value in values]
            one_of_these = {"type": kind, "enum": values}
            # Else chosen by a coin: something that means something, or anything of the type.
            anything = parameter["name"] not in ALWAYS_VALID
            parameter["schema"] = {"anyOf": [one_of_these, {"type": kind}]} if anything else one_of_these
    if "/segmentation/sum" in paths:
        correct(description)
    yaml.safe_dump(description, sys.stdout, sort_keys=False)


def complete(description: dict, operation: dict) -> list:
    """Adds the answers that are not described; returns the operation's own parameters."""
    # Nothing here compresses what it sends.
    parameters = [p for p in operation.get("parameters", []) if p.get("name") != "Content-Encoding"]
    if "parameters" in operation:
        operation["parameters"] = parameters
    for status in ("400", "403", "404"):
        content = {"application/json": {"schema": ERROR}}
        operation["responses"].setdefault(status, {"description": "Refused", "content": content})
    success = resolved(description, operation["responses"]["200"])["content"]
    names = [resolved(description, parameter)["name"] for parameter in parameters]
    if "format" in names:
        success["text/csv"] = {"schema": TEXT}
    # As the descriptions of the parameters themselves say.
    if "callback" in names:
        success["text/javascript"] = {"schema": TEXT}
    if "verbose" in names:
        strict = description["components"]["responses"]["StrictReceived"]["content"]["application/json"]
        success["application/json"] = {"schema": {"anyOf": [VERBOSE, strict["schema"]]}}
    return own(parameters)


def own(parameters: list) -> list:
    return [parameter for parameter in parameters if "$ref" not in parameter]


def resolved(description: dict, part: dict) -> dict:
    """The part itself, or what it refers to."""
    reference = part.get("$ref")
    if reference:
        kind, name = reference.rsplit("/", 2)[1:]
        part = description["components"][kind][name]
    return part


def correct(description: dict) -> None:
    def answer(path: str) -> dict:
        operation = description["paths"][path]["get"]
        return operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]

    # "null for step 0", and nested by segment with `on`.
    day = answer("/funnels")["data"]["additionalProperties"]
    for time in ("avg_time", "avg_time_from_start"):
        day["properties"]["steps"]["items"]["properties"][time]["nullable"] = True
    # Sums of amounts and averages have fractions.
    answer("/segmentation/sum")["results"]["additionalProperties"] = {"type": "number"}
    ranges = answer("/segmentation/numeric")["data"]["properties"]["values"]["additionalProperties"]
    ranges["additionalProperties"] = {"type": "number"}
    # The identifiers of the description's own examples are texts as often as numbers.
    profiles = description["paths"]["/engage"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    profiles["properties"]["results"]["items"]["properties"]["$distinct_id"].pop("type")
    # With `on`, periods are nested by segment.
    answer("/retention/addiction")["data"]["additionalProperties"] = {
        "anyOf": [
            {"type": "array", "items": {"type": "integer"}},
            {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}},
        ]
    }


main(sys.argv[1])
