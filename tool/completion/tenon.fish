# Completion of tenon in fish. The command itself knows what there is to offer.

function __tenon_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in ($program complete $words $current 2>/dev/null)
        switch $line
            case :vaults
                __fish_complete_suffix .vault | string match -r '^.*(?:/|\.vault)(?:\t.*)?$'
            case :files
                __fish_complete_path $current
            case :directories
                __fish_complete_directories $current ''
            case '*'
                echo $line
        end
    end
end

complete -c tenon -f -a '(__tenon_complete)'
