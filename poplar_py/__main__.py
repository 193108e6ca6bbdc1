"""The command line: `poplar-py` and `python -m poplar_py`.

Exit codes: 0 done; 2 something of the user's making, told in one line; 70 something of ours; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from .commands import COMMANDS
from .errors import InternalError, PoplarError, did_you_mean

PROGRAM = "poplar-py"
_TRACEBACK = "POPLAR_PY_TRACEBACK"
_DESCRIPTION = """\
Compile a model description to a graph of vertices and edges for a many-tile processor, run it on a simulated one,
tile by tile, and draw it."""
_EPILOG = """\
Start here:
  poplar-py demo                                    the whole story on real digits, in about a minute
  poplar-py compile mnist_small --training -o m.pop
  poplar-py run m.pop --data mnist --epochs 1
  poplar-py report m.pop --html report.html
  poplar-py render m.pop -o graph.png

MODEL is a YAML description, the name of a model that ships with poplar_py, or an executable (.pop).
`poplar-py COMMAND --help` tells more about a command."""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and name the nearest thing that exists."""

    def error(self, message: str) -> NoReturn:
        hint = ""
        if "invalid choice: " in message and "choose from" in message:
            given = message.split("invalid choice: ")[1].split(" (")[0].strip("'\"")
            known = [c.strip(" '\"") for c in message.rsplit("choose from", 1)[1].strip(" )").split(",")]
            hint = did_you_mean(given, known)
            if message.startswith("argument COMMAND"):
                message = f"no command '{given}'"
                hint = f".{hint}" + f" Commands: {', '.join(known)}"
        elif message.startswith("unrecognized arguments: "):
            given = message.split(": ", 1)[1].split()[0].split("=")[0]
            hint = did_you_mean(given, [o for a in self._actions for o in a.option_strings])
        print(f"{PROGRAM}: error: {message}{hint}", file=sys.stderr)
        raise SystemExit(2)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # unknown options: the command's own error
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            getattr(known, "parser", self).error(f"unrecognized arguments: {' '.join(rest)}")
        return known


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    from . import __version__

    shape = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog=PROGRAM, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=shape, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name, module in COMMANDS.items():
        text = f"{module.DESCRIPTION}"
        examples = "examples:\n" + "\n".join(f"  {line}" for line in module.EXAMPLES)
        sub = commands.add_parser(
            name, help=module.SUMMARY, description=text, epilog=examples, formatter_class=shape, allow_abbrev=False
        )
        module.add_arguments(sub)
        sub.add_argument(
            "--json", action="store_true", help="print the result as JSON on standard output, nothing else"
        )
        sub.set_defaults(run=module.run, parser=sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv:
        make_parser().print_help(sys.stderr)
        return 2
    try:
        args = make_parser().parse_args(argv)
        return args.run(args) or 0
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 2
    except KeyboardInterrupt:
        return _tell("stopped", 130)
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except PoplarError as error:
        return _tell(f"error: {error}", 2)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        return _tell(f"error: cannot use{where or ' the file'}: {error.strerror or error}", 2)
    except InternalError as error:
        return _tell(f"internal error: {error} (please report it; {_TRACEBACK}=1 shows where)", 70)
    except Exception as error:
        return _tell(
            f"internal error: {type(error).__name__}: {error} (please report it; {_TRACEBACK}=1 shows where)", 70
        )


def _tell(text: str, code: int) -> int:
    if os.environ.get(_TRACEBACK) and code != 130:
        import traceback

        traceback.print_exc()
    print(f"{PROGRAM}: {' '.join(text.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
