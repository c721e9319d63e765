#compdef genzoo
# Completion of genzoo in zsh. Add to ~/.zshrc, after compinit: eval "$(genzoo completion zsh)"
_genzoo() {
    local line
    local -a found texts shown
    found=("${(@f)$("${(Q)words[1]/#\~/$HOME}" completion answer zsh $((CURRENT - 1)) "${(Q)words[@]}" 2>/dev/null)}")
    for line in "${(@)found[2,-1]}"; do
        texts+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  }")
    done
    (( $#texts )) && compadd -l -d shown -a texts
    case $found[1] in
        :files) _files ;;
        :folders) _files -/ ;;
    esac
}
if [ "$funcstack[1]" = "_genzoo" ]; then
    _genzoo "$@"
else
    compdef _genzoo genzoo
fi
