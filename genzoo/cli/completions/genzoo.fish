# Completion of genzoo in fish. Write it to ~/.config/fish/completions/genzoo.fish
function __genzoo_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] completion answer fish (math (count $words) - 1) $words 2>/dev/null)
    test (count $found) -gt 1; and printf '%s\n' $found[2..-1]
    switch "$found[1]"
        case :files
            __fish_complete_path (commandline -ct)
        case :folders
            __fish_complete_directories (commandline -ct) ''
    end
end
complete -c genzoo -f -a '(__genzoo_complete)'
