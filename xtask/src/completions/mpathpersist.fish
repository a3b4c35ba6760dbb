complete -c mpathpersist -n 'not __fish_seen_subcommand_from sandbox' -f -a '(__mpath_pr_maps)'
complete -c mpathpersist -s d -l device -x -a '(__mpath_pr_maps)'
complete -c mpathpersist -s T -l prout-type -x -a '1 3 5 6 7 8'
