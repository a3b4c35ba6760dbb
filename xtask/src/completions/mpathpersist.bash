_mpathpersist_and_maps() {
    local cur=$2 prev=$3 before=""
    if [[ $cur == = ]]; then cur=""; fi
    # bash takes --device=mpatha for three words.
    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi
    if [[ $2 == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 1]}; fi
    if [[ $cur == /* ]]; then before=/dev/mapper/; fi
    case $prev in
        -d | --device)
            COMPREPLY=($(compgen -W "$(_mpath_pr_maps "$before")" -- "$cur"))
            return
            ;;
        -T | --prout-type)
            COMPREPLY=($(compgen -W "1 3 5 6 7 8" -- "$cur"))
            return
            ;;
    esac
    _mpathpersist "$@"
    case $prev in
        @VALUES@) return ;;
    esac
    if [[ $cur == -* || ${COMP_WORDS[1]} == sandbox ]]; then return; fi
    COMPREPLY+=($(compgen -W "$(_mpath_pr_maps "$before")" -- "$cur"))
}
complete -o bashdefault -o default -F _mpathpersist_and_maps mpathpersist
