_multipathd_lite_and_maps() {
    local cur=$2 prev=$3
    case $prev in
        map | multipath)
            COMPREPLY=($(compgen -W "$(_mpath_pr_maps "")" -- "$cur"))
            return
            ;;
        path)
            COMPREPLY=($(cd @SYSFS@/block && compgen -G "$cur*"))
            return
            ;;
    esac
    _multipathd "$@"
}
complete -F _multipathd_lite_and_maps multipathd-lite multipathd
