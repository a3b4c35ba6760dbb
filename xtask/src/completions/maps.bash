# The names of multipath maps: anybody may read them in sysfs.
_mpath_pr_maps() {
    local folder name uuid
    for folder in @SYSFS@/block/dm-*/dm; do
        { read -r uuid <"$folder/uuid" && read -r name <"$folder/name"; } 2>/dev/null || continue
        [[ $uuid == mpath-* ]] && printf '%s\n' "$1$name"
    done
}
