"""Where a file can be changed by a small fault, and how.

Messages, imports, annotations and `raise` are passed over: what they say is not a computation.
"""

import ast
from dataclasses import dataclass

_COMPARES = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
_EXTREMES = {
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "amin": "amax",
    "amax": "amin",
    "argmin": "argmax",
    "argmax": "argmin",
    "clamp_min": "clamp_max",
    "clamp_max": "clamp_min",
}
_NO_GRAD = {"no_grad", "inference_mode"}
_TEXTS = {"warn", "debug", "info", "warning", "error", "print", "cast", "TypeVar"}


@dataclass(frozen=True)
class Found:
    """A node that a fault replaces, the source of what replaces it, and the statement around."""

    operator: str
    node: ast.AST
    new: str
    statement: ast.stmt | None


def find(source: str) -> list[Found]:
    """Return every fault that can be put into a file."""
    finder = _Finder()
    finder.visit(ast.parse(source))
    return finder.found


class _Finder(ast.NodeVisitor):
    """Collects faults; each method that visits a node adds those of that node."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.statement: ast.stmt | None = None
        self.bound: list[set[str]] = [set()]

    def add(self, operator: str, node: ast.AST, new: str) -> None:
        self.found.append(Found(operator, node, new, self.statement))

    def visit(self, node: ast.AST) -> None:
        before = self.statement
        if isinstance(node, ast.stmt):
            self.statement = node
        super().visit(node)
        self.statement = before

    # What is passed over, in whole or in part.

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...
    def visit_Raise(self, node: ast.Raise) -> None: ...
    def visit_Import(self, node: ast.Import) -> None: ...
    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(called, ast.Attribute) and called.attr in _NO_GRAD:
                self.add("grad", decorator, "(lambda function: function)")
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        self.bound.append({one.arg for one in [*node.args.args, *node.args.kwonlyargs]})
        for statement in node.body:
            self.visit(statement)
        self.bound.pop()

    # Conditions.

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self._negate(node.test)
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.add("negate", node.test, f"(not ({ast.unparse(node.test)}))")
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._negate(node.test)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        self.add("negate", test, f"not ({ast.unparse(test)})")

    def visit_Compare(self, node: ast.Compare) -> None:
        for index, operator in enumerate(node.ops):
            if new := _COMPARES.get(type(operator)):
                operators = [*node.ops[:index], new(), *node.ops[index + 1 :]]
                swapped = ast.Compare(node.left, operators, node.comparators)
                self.add("compare", node, f"({ast.unparse(swapped)})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        new = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self.add("and-or", node, f"({ast.unparse(ast.BoolOp(new, node.values))})")
        self.generic_visit(node)

    # Numbers.

    def visit_BinOp(self, node: ast.BinOp) -> None:
        texts = any(map(_is_text, (node.left, node.right)))
        if (new := _ARITHMETIC.get(type(node.op))) and not texts:
            swapped = ast.BinOp(node.left, new(), node.right)
            self.add("arithmetic", node, f"({ast.unparse(swapped)})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            self.add("arithmetic", node, f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.add("drop", node, "pass")
        if new := _ARITHMETIC.get(type(node.op)):
            self.add(
                "arithmetic", node, ast.unparse(ast.AugAssign(node.target, new(), node.value))
            )
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if type(node.value) in (int, float):
            for step in (1, -1):
                self.add("constant", node, repr(node.value + step))

    # Statements and calls.

    def visit_Return(self, node: ast.Return) -> None:
        if node.value and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            for value in ("None", "0"):
                self.add("return", node, f"return {value}")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.add("drop", node, "pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = {
            part.id
            for target in node.targets
            for part in ast.walk(target)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }
        if "__all__" in names:
            return
        # Dropped, the first binding of a name is a NameError, of which tests say nothing.
        if len(self.bound) > 1 and names <= self.bound[-1]:
            self.add("drop", node, "pass")
        self.bound[-1] |= names
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            called = item.context_expr
            is_method = isinstance(called, ast.Call) and isinstance(called.func, ast.Attribute)
            if is_method and called.func.attr in _NO_GRAD:
                self.add("grad", called, "__import__('contextlib').nullcontext()")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in _TEXTS:
            return
        is_method = isinstance(node.func, ast.Attribute)
        if name == "detach" and not node.args and is_method:
            self.add("grad", node, f"({ast.unparse(node.func.value)})")
        if new := _EXTREMES.get(name):
            func = ast.Attribute(node.func.value, new) if is_method else ast.Name(new)
            self.add("extreme", node, ast.unparse(ast.Call(func, node.args, node.keywords)))
        if any(keyword.arg in ("min", "max") for keyword in node.keywords):
            keywords = [
                ast.keyword(_EXTREMES.get(keyword.arg, keyword.arg), keyword.value)
                for keyword in node.keywords
            ]
            self.add("extreme", node, ast.unparse(ast.Call(node.func, node.args, keywords)))
        self.generic_visit(node)


def _is_text(node: ast.expr) -> bool:
    is_constant = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_constant or isinstance(node, ast.JoinedStr)
