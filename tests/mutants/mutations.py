"""Single changes to a module's source, of the kinds that programmers make by mistake."""

import ast
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

_SWAPPED: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}


class Mutant(NamedTuple):
    """One change."""

    line: int
    before: str
    after: str
    source: str
    """The whole module, changed."""


def mutants(source: str) -> Iterator[Mutant]:
    """Yields every mutant of a module."""
    tree = ast.parse(source)
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line.encode()))
    text = source.encode()
    for node in _nodes(tree):
        for after in _changes(node):
            begin = offsets[node.lineno - 1] + node.col_offset
            end = offsets[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
            changed = text[:begin] + after.encode() + text[end:]
            yield Mutant(node.lineno, text[begin:end].decode(), after, changed.decode())


def _nodes(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yields what can be changed: no docstrings, annotations, imports, or parts of f-strings."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "pattern"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.JoinedStr | ast.Import | ast.ImportFrom):
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            if isinstance(child, ast.AST):
                yield from _nodes(child)


def _changes(node: ast.expr | ast.stmt) -> Iterator[str]:
    """Yields what could stand in a node's place, in parentheses where that is needed."""
    match node:
        case ast.Expr() | ast.Raise() | ast.AugAssign():
            yield "pass"
        case ast.Break():
            yield "continue"
        case ast.Continue():
            yield "break"
        case ast.Return(ast.expr() as value) if not _is_none(value):
            yield "return None"
        case ast.IfExp(_, body, orelse):
            yield f"({ast.unparse(body)})"
            yield f"({ast.unparse(orelse)})"
        case ast.UnaryOp(ast.Not(), operand):
            yield f"({ast.unparse(operand)})"
        case ast.Constant(value):
            if (other := _other_constant(value)) is not None:
                yield f"({other!r})"
        case ast.Compare() | ast.BoolOp() | ast.BinOp():
            yield from _swaps(node)
        case _:
            pass


def _swaps(node: ast.Compare | ast.BoolOp | ast.BinOp) -> Iterator[str]:
    """Yields an expression with its operator swapped."""
    found = node.ops[0] if isinstance(node, ast.Compare) else node.op
    if type(found) not in _SWAPPED or (isinstance(node, ast.Compare) and len(node.ops) > 1):
        return
    swapped: Any = _SWAPPED[type(found)]()
    match node:
        case ast.Compare(left, _, rest):
            yield f"({ast.unparse(ast.Compare(left, [swapped], rest))})"
        case ast.BoolOp(_, values):
            yield f"({ast.unparse(ast.BoolOp(swapped, values))})"
        case ast.BinOp(left, _, right):
            yield f"({ast.unparse(ast.BinOp(left, swapped, right))})"


def _other_constant(value: object) -> object:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value:
            return f"{value[:-1]}~"
    return None


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None
