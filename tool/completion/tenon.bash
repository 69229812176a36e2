# Completion of tenon in bash, with the package bash-completion. The command itself knows what there is to offer.

_tenon() {
    local cur words cword line word before='' breaks=${COMP_WORDBREAKS//[^:=]/}
    COMPREPLY=()
    _get_comp_words_by_ref -n := cur words cword || return
    # Readline replaces only what follows the last : or =, where these separate words for it.
    [[ -z $breaks ]] || before=${cur%"${cur##*["$breaks"]}"}
    while IFS= read -r line; do
        case $line in
        :vaults) _filedir vault ;;
        :files) _filedir ;;
        :directories) _filedir -d ;;
        *)
            word=${line%%$'\t'*}
            [[ $word == "${cur//\\/}"* ]] || continue
            [[ $word != *[^A-Za-z0-9_./:,=+@%-]* ]] || printf -v word %q "$word"
            COMPREPLY+=("${word#"$before"}")
            [[ $word != *= ]] || compopt -o nospace
            ;;
        esac
    done < <("$1" complete "${words[@]:1:cword}" 2>/dev/null)
}

complete -F _tenon tenon
