# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion of vmswapctl for bash: commands, options, files, and the names of
# the exports of the server that --control, or VMSWAP_CONTROL, names.

# Adds the candidates, one per line of stdin, that begin with $1, quoted if need
# be.
_vmswapctl_offer ()
{
    local candidate begin=$1

    # What was typed may be quoted so far.
    begin=${begin//\\/}
    begin=${begin#[\'\"]}
    while IFS= read -r candidate; do
        [[ $candidate == "$begin"* ]] || continue
        case $1 in
            \'*|\"*) COMPREPLY+=("$candidate") ;;
            *) COMPREPLY+=("$(printf '%q' "$candidate")") ;;
        esac
    done
}

_vmswapctl_guests ()
{
    local i control=()

    for ((i = 1; i + 1 < ${#COMP_WORDS[@]}; i++)); do
        [[ ${COMP_WORDS[i]} != --control ]] ||
            control=(--control "${COMP_WORDS[i + 1]}")
    done
    "${COMP_WORDS[0]}" status --all "${control[@]}" 2>/dev/null |
        sed -n 's/^guest //p'
}

# The options of a command, as its line of --help has them.
_vmswapctl_options ()
{
    "${COMP_WORDS[0]}" --help 2>/dev/null | grep -e "^  vmswapctl $1 " |
        grep -o -e '--[a-z]*'
}

_vmswapctl ()
{
    local current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]}

    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _vmswapctl_offer "$current" < <(
            "${COMP_WORDS[0]}" --help 2>/dev/null |
                sed -n 's/^  vmswapctl \([a-z]*\) .*/\1/p'
            printf '%s\n' --help --version)
        return
    fi
    case $previous in
        --control|--textfile|--registry|--state)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            compopt -o filenames 2>/dev/null
            return ;;
        --delay|--quota|--reserve)
            return ;;
    esac
    case $current in
        -*) _vmswapctl_offer "$current" < <(_vmswapctl_options "$command")
            return ;;
    esac
    case $command in
        check|registry)
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            compopt -o filenames 2>/dev/null ;;
        grow|limit|reset)
            _vmswapctl_offer "$current" < <(_vmswapctl_guests) ;;
    esac
}
complete -F _vmswapctl vmswapctl
