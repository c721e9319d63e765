# Completion of genzoo in bash. Add to ~/.bashrc: eval "$(genzoo completion bash)"
_genzoo_complete() {
    local line program=${COMP_WORDS[0]/#\~/$HOME} current=${COMP_WORDS[COMP_CWORD]}
    local -a found
    COMPREPLY=()
    mapfile -t found < <("$program" completion answer bash "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null)
    for line in "${found[@]:1}"; do
        COMPREPLY+=("${line%%$'\t'*}")
    done
    [[ $current == = ]] && current=
    case ${found[0]} in
        :files)
            compopt -o filenames
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
        :folders)
            compopt -o filenames
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current") ;;
    esac
}
complete -F _genzoo_complete genzoo
