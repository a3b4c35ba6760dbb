
# The names of multipath maps: anybody may read them in sysfs.
function __mpath_pr_maps
    for folder in @SYSFS@/block/dm-*/dm
        if string match -q 'mpath-*' <$folder/uuid
            set -l name (cat $folder/name)
            printf '%s\n' $name /dev/mapper/$name
        end
    end
end
