"""What `make docs` adds to the pages: the keys of the config, from its schema, and files from outside docs/."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"
KEYS = "<!-- keys -->"  # where configuration.md takes its tables
COPIED = {  # page or file of the site → file of the repository
    "shape_bias.png": "workflow/report/shape_bias.png",
    "admins.md": "profiles/slurm/README.md",
    "speed.md": "benchmarks/README.md",
}
Node = dict[str, Any]


# The tables of configuration.md


def resolve(schema: Node, node: Node) -> Node:
    """A node with what it refers to; its own words come first. An optional value is described as the value."""
    while "$ref" in node:
        target = schema["$defs"][node["$ref"].rpartition("/")[2]]
        node = target | {key: value for key, value in node.items() if key != "$ref"}
    for key in ("anyOf", "allOf", "oneOf"):
        options = [option for option in node.get(key, []) if option.get("type") != "null"]
        if len(options) == 1 and "if" not in options[0]:
            rest = {name: value for name, value in node.items() if name != key}
            return resolve(schema, options[0] | rest)
    return node


def variants(schema: Node, node: Node) -> dict[str, Node]:
    """kind → what an entry of that kind holds, where entries differ by their kind; empty where they do not."""
    found = {}
    for branch in node.get("allOf", []):
        if "if" in branch and "then" in branch:
            found[branch["if"]["properties"]["kind"]["const"]] = resolve(schema, branch["then"])
    for option in [*node.get("oneOf", []), *node.get("anyOf", [])]:
        option = resolve(schema, option)
        kind = option.get("properties", {}).get("kind", {})
        for value in [kind["const"]] if "const" in kind else kind.get("enum", []):
            found[value] = option
    return found


def values_text(schema: Node, node: Node) -> str:
    """The values that a key may have, in words."""
    node = resolve(schema, node)
    if "const" in node:
        return f"`{json.dumps(node['const']).strip(chr(34))}`"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    for key in ("anyOf", "oneOf"):
        if options := [o for o in node.get(key, []) if o.get("type") != "null" and set(o) != {"required"}]:
            return " or ".join(dict.fromkeys(values_text(schema, option) for option in options))
    kind = node.get("type", "mapping")
    if kind == "array":
        return f"list of {values_text(schema, node.get('items', {'type': 'value'}))}"
    if kind == "boolean":
        return "`true`, `false`"
    if kind in ("integer", "number"):
        return " ".join([kind, bounds_text(node)]).strip()
    return {"string": "text", "object": "mapping"}.get(kind, str(kind))


def bounds_text(node: Node) -> str:
    """`16 to 2048`, `≥ 1`, `> 0 and < 1`; spaces that break no line stand between a sign and its number."""
    if "minimum" in node and "maximum" in node:
        return f"{node['minimum']} to {node['maximum']}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return " and ".join(f"{sign}\u00a0{node[key]}" for key, sign in signs.items() if key in node)


def entries_of(schema: Node, node: Node) -> Node | None:
    """What each named entry of a mapping holds; None where the keys are fixed."""
    more = resolve(schema, node).get("additionalProperties")
    return resolve(schema, more) if isinstance(more, dict) else None


def rows(schema: Node, node: Node, path: str, top: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """(key, values, default, meaning) of each key below a node. top: definition → section that lists its keys."""
    node = resolve(schema, node)
    for name, raw in node.get("properties", {}).items():
        value, key = resolve(schema, raw), f"{path}{name}"
        if not raw:  # declared so that a variant allows it; described with all of them
            continue
        section = top.get(reference(raw))
        values = f"the keys of [`{section}`](#{section})" if section else values_text(schema, raw)
        default = raw.get("default")
        default = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
        default = "" if raw.get("default") in (None, "", {}, []) else f"`{default}`"
        if name in node.get("required", []):
            default = "*required*"
        meaning = raw.get("description") or value.get("description") or ""
        yield f"`{key}`", values, default, " ".join(meaning.split())
        if not section:
            yield from rows(schema, value, f"{key}.", top)
            if (entry := entries_of(schema, value)) and entry.get("properties"):
                yield from rows(schema, entry, f"{key}.NAME.", top)


def reference(node: Node) -> str:
    """The name of the definition that a node refers to, also where the node is optional; empty where there is none."""
    options = [node, *node.get("anyOf", []), *node.get("allOf", [])]
    return next((option["$ref"].rpartition("/")[2] for option in options if "$ref" in option), "")


def table(lines: list[tuple[str, str, str, str]]) -> list[str]:
    cells = [
        [cell.replace("|", "\\|").replace("<", "&lt;") if k == 3 else cell for k, cell in enumerate(line)]
        for line in lines
    ]
    return [
        "| key | values | default | meaning |",
        "|---|---|---|---|",
        *(f"| {' | '.join(line)} |" for line in cells),
        "",
    ]


def section(schema: Node, name: str, raw: Node, top: dict[str, str]) -> list[str]:
    """Heading, description and tables of a top-level mapping."""
    node, text = resolve(schema, raw), [f"## {name}", ""]
    if about := raw.get("description") or node.get("description"):
        text += [about.replace("<", "&lt;"), ""]
    entry, path = entries_of(schema, node), ""
    if entry is None:
        entry = node
    else:
        text += [f"Each entry of `{name}` has a name of your choice and these keys:", ""]
    kinds = variants(schema, entry)
    text += table(list(rows(schema, {"properties": {}} | entry, path, top))) if entry.get("properties") else []
    for kind, variant in kinds.items():
        own = {key: value for key, value in variant.get("properties", {}).items() if key != "kind"}
        if own:
            text += [
                f"### {name}: kind `{kind}`",
                "",
                *table(list(rows(schema, variant | {"properties": own}, path, top))),
            ]
        elif not entry.get("properties"):
            text += [f"### {name}: kind `{kind}`", "", "No other keys.", ""]
    for key in ("oneOf", "anyOf"):
        groups = [option["required"] for option in entry.get(key, []) if set(option) == {"required"}]
        if groups:
            choices = " or ".join(" and ".join(f"`{one}`" for one in group) for group in groups)
            text += [f"Each entry needs exactly one of these: {choices}.", ""]
    return text


def is_mapping(schema: Node, raw: Node) -> bool:
    node = resolve(schema, raw)
    return bool(node.get("properties") or isinstance(node.get("additionalProperties"), dict))


def configuration(schema: Node) -> str:
    """All keys of the config: single values in one table, then a section for each mapping."""
    properties = schema["properties"]
    nested = {name: raw for name, raw in properties.items() if is_mapping(schema, raw)}
    top = {reference(raw): name for name, raw in nested.items() if reference(raw)}
    single = {"properties": {name: raw for name, raw in properties.items() if name not in nested}}
    text = [
        "## Single values",
        "",
        *table(list(rows(schema, single | {"required": schema.get("required", [])}, "", top))),
    ]
    for name, raw in nested.items():
        text += section(schema, name, raw, top)
    return "\n".join(text)


# MkDocs calls these


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for target, source in COPIED.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Put the keys into configuration.md. A link to a file outside of docs/ becomes its path."""
    if page.file.src_path == "configuration.md":
        assert KEYS in markdown
        markdown = markdown.replace(KEYS, configuration(json.loads(SCHEMA.read_text(encoding="utf-8"))))
    for target, source in COPIED.items():
        markdown = markdown.replace(f"](../{source})", f"]({target})")
    markdown = re.sub(r"\]\((?:\.\./)+docs/", "](", markdown)  # from a copied page
    return re.sub(r"\[([^\]]+)\]\((?:\.\./)+([^)#\s]+)\)", plain_path, markdown)


def plain_path(link: re.Match[str]) -> str:
    text, path = link[1], link[2]
    return text if path in text else f"{text} (`{path}`)"
