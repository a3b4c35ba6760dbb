
# The names of multipath maps: anybody may read them in sysfs.
_mpath_pr_maps() {
    local folder name uuid
    local -a maps
    for folder in @SYSFS@/block/dm-*/dm(N); do
        { read -r uuid <$folder/uuid && read -r name <$folder/name } 2>/dev/null || continue
        [[ $uuid == mpath-* ]] && maps+=($name /dev/mapper/$name)
    done
    compadd -a maps
}
