# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion of vmswapctl for bash: commands, options, files, sizes, and the names
# of the exports of the server that --control, or VMSWAP_CONTROL, names; for reset
# those of the registry, too, which outlive a server.

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

# The value of the option $1, if it is there.
_vmswapctl_value ()
{
    local i

    for ((i = 2; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i - 1]} != "$1" ]] || echo "${COMP_WORDS[i]}"
    done
}

_vmswapctl_guests ()
{
    local path
    path=$(_vmswapctl_value --control)

    "${COMP_WORDS[0]}" status --all ${path:+--control "$path"} 2>/dev/null |
        sed -n 's/^guest //p'
}

# The names in the registry; their column is as wide as the longest, and ends
# before the size.
_vmswapctl_registered ()
{
    local dir
    dir=$(_vmswapctl_value --registry)

    [[ $dir != none ]] || return 0
    "${COMP_WORDS[0]}" registry ${dir:+"$dir"} 2>/dev/null |
        sed -n 's/ *  *[0-9.]*[0-9][BKMGTPE]\{0,1\}  [0-9a-f]\{16\}  .*$//p'
}

# How many words before this one are neither options nor their values.
_vmswapctl_operands ()
{
    local i n=0

    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --control|--textfile|--registry|--state|--delay|--quota|--reserve)
                ((++i)) ;;
            -*) ;;
            *) ((++n)) ;;
        esac
    done
    echo $n
}

# The operands of grow, limit and reset: the export, and for grow its size.
_vmswapctl_operand ()
{
    case $(_vmswapctl_operands) in
        0)
            if [[ $1 = reset ]]; then
                { _vmswapctl_guests; _vmswapctl_registered; } | sort -u
            else
                _vmswapctl_guests
            fi ;;
        1) [[ $1 != grow ]] ||
            printf '%s\n' 512M 1G 2G 4G 8G 16G 32G 64G 128G ;;
    esac
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
        --registry)
            mapfile -t COMPREPLY < <(compgen -W none -- "$current"
                compgen -d -- "$current")
            compopt -o filenames 2>/dev/null
            return ;;
        --control|--textfile|--state)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            compopt -o filenames 2>/dev/null
            return ;;
        --quota|--reserve)
            _vmswapctl_offer "$current" < <(
                printf '%s\n' 0 256M 512M 1G 2G 4G 8G 16G 10% 25% 50% 75%)
            return ;;
        --delay)
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
            _vmswapctl_offer "$current" < <(_vmswapctl_operand "$command") ;;
    esac
}
complete -F _vmswapctl vmswapctl
