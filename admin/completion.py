"""`completion`: a name for these commands that a shell can complete, since `python -m admin` has none."""

import shlex
import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from worker import connections, mends, settings

NAME = "bridge-admin"

# What asks this program for completions instead of a command: Click's protocol, the answers a line each.
VARIABLE = "_BRIDGE_ADMIN_COMPLETE"

ROOT = Path(__file__).resolve().parent.parent

# The command works from the project's folder, where its packages and its .env are.
_POSIX = (
    NAME
    + """() { (cd %(root)s && exec %(python)s -m admin "$@"); }
"""
)

_BASH = (
    _POSIX
    + """_bridge_admin() {
    local type value words number=$COMP_CWORD
    words=$(IFS=$'\\n'; printf %%s "${COMP_WORDS[*]}")
    COMPREPLY=()
    while IFS=, read -r type value; do
        [[ $type == plain ]] && COMPREPLY+=("$value")
    done < <(
        unset COMP_WORDS COMP_CWORD  # an array can't be exported
        export COMP_WORDS="$words" COMP_CWORD=$number %(variable)s=bash_complete
        %(name)s 2>/dev/null
    )
}
complete -o nosort -F _bridge_admin %(name)s 2>/dev/null || complete -F _bridge_admin %(name)s
"""
)

_ZSH = (
    _POSIX
    + """_bridge_admin() {
    local -a response plain described
    local type key descr
    response=("${(@f)$(export COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(variable)s=zsh_complete; %(name)s 2>/dev/null)}")
    for type key descr in ${response}; do
        [[ $type == plain ]] || continue
        if [[ $descr == _ ]]; then plain+=("$key"); else described+=("$key:$descr"); fi
    done
    [[ -n $described ]] && _describe -V unsorted described -U
    [[ -n $plain ]] && compadd -U -V unsorted -a plain
}
compdef _bridge_admin %(name)s
"""
)

_FISH = """function %(name)s
    pushd %(root)s; and %(python)s -m admin $argv
    set -l ended $status
    popd
    return $ended
end
function _bridge_admin
    set -lx COMP_WORDS (commandline -cp)
    set -lx COMP_CWORD (commandline -t)
    set -lx %(variable)s fish_complete
    for line in (%(name)s 2>/dev/null)
        set -l parts (string split -m 1 , $line)
        test "$parts[1]" = plain; and echo $parts[2]
    end
end
complete --no-files --command %(name)s --arguments "(_bridge_admin)"
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@click.command()
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
def completion(shell: str) -> None:
    """Print what makes bridge-admin a command of your SHELL, with completion of commands, options, connections, states and kinds.

    \b
    bash  source <(.venv/bin/python -m admin completion bash)
    zsh   source <(.venv/bin/python -m admin completion zsh)     after compinit
    fish  .venv/bin/python -m admin completion fish | source

    That line, with the whole path of the Python, can stand in ~/.bashrc, ~/.zshrc or config.fish.
    """
    place = {"name": NAME, "variable": VARIABLE, "root": shlex.quote(str(ROOT)), "python": shlex.quote(sys.executable)}
    click.echo(SCRIPTS[shell] % place, nl=False)


def connection_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names in the connections file; none where it can't be read, for a shell can say nothing about that."""
    try:
        found = connections.load(settings.load(needs=()).connections_file)
    except Exception as error:
        if mends.explain(error) is None:
            raise
        return []
    names = sorted(connection.name for connection in found)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
