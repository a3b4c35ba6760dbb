complete -c multipathd-lite -n '__fish_seen_subcommand_from map' -f -a '(__mpath_pr_maps)'
