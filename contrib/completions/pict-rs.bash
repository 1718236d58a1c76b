_pict__rs() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="pict__rs"
                ;;
            pict__rs,accept-store)
                cmd="pict__rs__subcmd__accept__subcmd__store"
                ;;
            pict__rs,backup)
                cmd="pict__rs__subcmd__backup"
                ;;
            pict__rs,check-config)
                cmd="pict__rs__subcmd__check__subcmd__config"
                ;;
            pict__rs,doctor)
                cmd="pict__rs__subcmd__doctor"
                ;;
            pict__rs,fsck)
                cmd="pict__rs__subcmd__fsck"
                ;;
            pict__rs,help)
                cmd="pict__rs__subcmd__help"
                ;;
            pict__rs,migrate)
                cmd="pict__rs__subcmd__migrate"
                ;;
            pict__rs,migrate-repo)
                cmd="pict__rs__subcmd__migrate__subcmd__repo"
                ;;
            pict__rs,migrate-store)
                cmd="pict__rs__subcmd__migrate__subcmd__store"
                ;;
            pict__rs,print-config)
                cmd="pict__rs__subcmd__print__subcmd__config"
                ;;
            pict__rs,restore)
                cmd="pict__rs__subcmd__restore"
                ;;
            pict__rs,run)
                cmd="pict__rs__subcmd__run"
                ;;
            pict__rs,takeover)
                cmd="pict__rs__subcmd__takeover"
                ;;
            pict__rs,verify-clean)
                cmd="pict__rs__subcmd__verify__subcmd__clean"
                ;;
            pict__rs__subcmd__help,accept-store)
                cmd="pict__rs__subcmd__help__subcmd__accept__subcmd__store"
                ;;
            pict__rs__subcmd__help,backup)
                cmd="pict__rs__subcmd__help__subcmd__backup"
                ;;
            pict__rs__subcmd__help,check-config)
                cmd="pict__rs__subcmd__help__subcmd__check__subcmd__config"
                ;;
            pict__rs__subcmd__help,doctor)
                cmd="pict__rs__subcmd__help__subcmd__doctor"
                ;;
            pict__rs__subcmd__help,fsck)
                cmd="pict__rs__subcmd__help__subcmd__fsck"
                ;;
            pict__rs__subcmd__help,help)
                cmd="pict__rs__subcmd__help__subcmd__help"
                ;;
            pict__rs__subcmd__help,migrate)
                cmd="pict__rs__subcmd__help__subcmd__migrate"
                ;;
            pict__rs__subcmd__help,migrate-repo)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo"
                ;;
            pict__rs__subcmd__help,migrate-store)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store"
                ;;
            pict__rs__subcmd__help,print-config)
                cmd="pict__rs__subcmd__help__subcmd__print__subcmd__config"
                ;;
            pict__rs__subcmd__help,restore)
                cmd="pict__rs__subcmd__help__subcmd__restore"
                ;;
            pict__rs__subcmd__help,run)
                cmd="pict__rs__subcmd__help__subcmd__run"
                ;;
            pict__rs__subcmd__help,takeover)
                cmd="pict__rs__subcmd__help__subcmd__takeover"
                ;;
            pict__rs__subcmd__help,verify-clean)
                cmd="pict__rs__subcmd__help__subcmd__verify__subcmd__clean"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store,filesystem)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store,object-storage)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem,filesystem)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem,object-storage)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage,filesystem)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage,object-storage)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage,fjall)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage,postgres)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage,sled)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__run,filesystem)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__filesystem"
                ;;
            pict__rs__subcmd__help__subcmd__run,object-storage)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__help__subcmd__run__subcmd__filesystem,fjall)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__filesystem__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__run__subcmd__filesystem,postgres)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__filesystem__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__run__subcmd__filesystem,sled)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__filesystem__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__run__subcmd__filesystem,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__filesystem__subcmd__sqlite"
                ;;
            pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage,fjall)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage__subcmd__fjall"
                ;;
            pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage,postgres)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage__subcmd__postgres"
                ;;
            pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage,sled)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage__subcmd__sled"
                ;;
            pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage,sqlite)
                cmd="pict__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__store,filesystem)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem"
                ;;
            pict__rs__subcmd__migrate__subcmd__store,object-storage)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem,filesystem)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem,object-storage)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage,filesystem)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage,object-storage)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__sqlite"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage,fjall)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__fjall"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage,postgres)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__postgres"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage,sled)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__sled"
                ;;
            pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage,sqlite)
                cmd="pict__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__sqlite"
                ;;
            pict__rs__subcmd__run,filesystem)
                cmd="pict__rs__subcmd__run__subcmd__filesystem"
                ;;
            pict__rs__subcmd__run,help)
                cmd="pict__rs__subcmd__run__subcmd__help"
                ;;
            pict__rs__subcmd__run,object-storage)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem,fjall)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__fjall"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem,help)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__help"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem,postgres)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__postgres"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem,sled)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__sled"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem,sqlite)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__sqlite"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem__subcmd__help,fjall)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__fjall"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem__subcmd__help,help)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__help"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem__subcmd__help,postgres)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__postgres"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem__subcmd__help,sled)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__sled"
                ;;
            pict__rs__subcmd__run__subcmd__filesystem__subcmd__help,sqlite)
                cmd="pict__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__sqlite"
                ;;
            pict__rs__subcmd__run__subcmd__help,filesystem)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__filesystem"
                ;;
            pict__rs__subcmd__run__subcmd__help,help)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__help"
                ;;
            pict__rs__subcmd__run__subcmd__help,object-storage)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage"
                ;;
            pict__rs__subcmd__run__subcmd__help__subcmd__filesystem,fjall)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__filesystem__subcmd__fjall"
                ;;
            pict__rs__subcmd__run__subcmd__help__subcmd__filesystem,postgres)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__filesystem__subcmd__postgres"
                ;;
            pict__rs__subcmd__run__subcmd__help__subcmd__filesystem,sled)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__filesystem__subcmd__sled"
                ;;
            pict__rs__subcmd__run__subcmd__help__subcmd__filesystem,sqlite)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__filesystem__subcmd__sqlite"
                ;;
            pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage,fjall)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage__subcmd__fjall"
                ;;
            pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage,postgres)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage__subcmd__postgres"
                ;;
            pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage,sled)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage__subcmd__sled"
                ;;
            pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage,sqlite)
                cmd="pict__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage__subcmd__sqlite"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage,fjall)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__fjall"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage,help)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage,postgres)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__postgres"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage,sled)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__sled"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage,sqlite)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__sqlite"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help,fjall)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__fjall"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help,help)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__help"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help,postgres)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__postgres"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help,sled)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__sled"
                ;;
            pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help,sqlite)
                cmd="pict__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__sqlite"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        pict__rs)
            opts="-c -h -V --config-file --save-to --log-format --log-targets --log-spans --log-requests --no-log-ansi --console-address --console-buffer-capacity --opentelemetry-url --opentelemetry-service-name --opentelemetry-targets --old-repo-path --old-repo-cache-capacity --help --version run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --save-to)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-targets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --console-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --console-buffer-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --opentelemetry-url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --opentelemetry-service-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --opentelemetry-targets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --old-repo-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --old-repo-cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__accept__subcmd__store)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__backup)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__check__subcmd__config)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__doctor)
            opts="-h --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__fsck)
            opts="-h --digests --json --repair --from --from-config --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --from)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --from-config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help)
            opts="run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__accept__subcmd__store)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__backup)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__check__subcmd__config)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__doctor)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__fsck)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo)
            opts="sqlite postgres sled fjall"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store)
            opts="filesystem object-storage"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem)
            opts="filesystem object-storage"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage)
            opts="filesystem object-storage"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 6 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__print__subcmd__config)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__restore)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run)
            opts="filesystem object-storage"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__filesystem)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__filesystem__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__filesystem__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__filesystem__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__filesystem__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__run__subcmd__object__subcmd__storage__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__takeover)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__help__subcmd__verify__subcmd__clean)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate)
            opts="-h --from --files --from-config --skip-missing-files --skip-unnamed --unit --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --from)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --files)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --from-config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --unit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo)
            opts="-c -h --concurrency --dry-run --restart --help sqlite postgres sled fjall"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --concurrency)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__fjall__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__postgres__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sled__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite)
            opts="-p -h --path --help sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__repo__subcmd__sqlite__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store)
            opts="-h --skip-missing-files --concurrency --skip-digests --dry-run --help filesystem object-storage"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --concurrency)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem)
            opts="-p -h --path --help filesystem object-storage"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem)
            opts="-p -h --path --help sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__filesystem__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage)
            opts="-e -b -r -a -s -u -h --endpoint --bucket-name --region --access-key --secret-key --session-token --instance-credentials --use-path-style --client-timeout --certificate-file --public-endpoint --signed-redirects --tag-healthz --help sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --region)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -r)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --access-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --session-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --client-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --public-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --signed-redirects)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__filesystem__subcmd__object__subcmd__storage__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage)
            opts="-e -b -r -a -s -u -h --endpoint --bucket-name --region --access-key --secret-key --session-token --instance-credentials --use-path-style --client-timeout --certificate-file --public-endpoint --signed-redirects --tag-healthz --help filesystem object-storage"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --region)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -r)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --access-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --session-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --client-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --public-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --signed-redirects)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem)
            opts="-p -h --path --help sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__filesystem__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage)
            opts="-e -b -r -a -s -u -h --endpoint --bucket-name --region --access-key --secret-key --session-token --instance-credentials --use-path-style --client-timeout --certificate-file --public-endpoint --signed-redirects --tag-healthz --help sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --region)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -r)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --access-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --session-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --client-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --public-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --signed-redirects)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__migrate__subcmd__store__subcmd__object__subcmd__storage__subcmd__object__subcmd__storage__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__print__subcmd__config)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__restore)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run)
            opts="-a -h --address --api-key --read-only --danger-dummy-mode --max-file-count --temporary-directory --no-cleanup-temporary-directory --certificate --private-key --client-timeout --client-allow-local-connections --client-allowed-hosts --client-concurrency --upgrade-concurrency --metrics-prometheus-address --media-external-validation --media-external-validation-timeout --media-external-validation-form --media-external-validation-failure --media-external-validation-as --media-heal --media-max-file-size --media-process-timeout --media-isolation --media-preprocess-steps --media-concurrency --media-queue-length --media-queue-timeout --media-background-length --media-memory --media-disk --media-owner-quota --media-variants-per-original --media-pdq-on-match --media-pdq-distance --media-pdq-quality --media-pdq-subscriptions --media-pdq-refresh --media-auto-budget --media-auto-fallback-max-age --media-retention-claims --media-retention-variants --media-retention-proxy --media-retention-variants-size --media-retention-proxy-size --media-magick-max-width --media-magick-max-height --media-magick-max-area --media-magick-memory --media-magick-map --media-magick-disk --media-image-max-width --media-image-max-height --media-image-max-area --media-image-max-file-size --media-image-format --media-image-quality-avif --media-image-quality-png --media-image-quality-jpeg --media-image-quality-jxl --media-image-quality-webp --media-animation-max-width --media-animation-max-height --media-animation-max-area --media-animation-max-frame-count --media-animation-max-file-size --media-animation-format --media-animation-quality-apng --media-animation-quality-avif --media-animation-quality-webp --media-video-max-width --media-video-max-height --media-video-max-area --media-video-max-frame-count --media-video-max-file-size --media-video-codec --media-video-audio-codec --media-video-quality-max --media-video-quality-240 --media-video-quality-360 --media-video-quality-480 --media-video-quality-720 --media-video-quality-1080 --media-video-quality-1440 --media-video-quality-2160 --media-filters --media-helpers --media-magick-formats --media-keep-metadata --media-auto-formats --media-auto-slow --media-fast --media-no-reduced-copies --media-strict-operations --media-image-accept-damaged --media-svg-enable --media-video-disable --media-video-allow-audio --help filesystem object-storage help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-file-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --temporary-directory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --private-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --client-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --client-allowed-hosts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --client-concurrency)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --upgrade-concurrency)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-prometheus-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-external-validation)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-external-validation-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-external-validation-form)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-external-validation-failure)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-external-validation-as)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-heal)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-max-file-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-process-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-isolation)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-preprocess-steps)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-concurrency)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-queue-length)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-queue-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-background-length)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-memory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-disk)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-owner-quota)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-variants-per-original)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-pdq-on-match)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-pdq-distance)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-pdq-quality)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-pdq-subscriptions)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-pdq-refresh)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-auto-budget)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-auto-fallback-max-age)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-retention-claims)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-retention-variants)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-retention-proxy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-retention-variants-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-retention-proxy-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-magick-max-width)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-magick-max-height)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-magick-max-area)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-magick-memory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-magick-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-magick-disk)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-max-width)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-max-height)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-max-area)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-max-file-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-quality-avif)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-quality-png)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-quality-jpeg)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-quality-jxl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-image-quality-webp)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-max-width)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-max-height)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-max-area)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-max-frame-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-max-file-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-quality-apng)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-quality-avif)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-animation-quality-webp)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-max-width)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-max-height)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-max-area)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-max-frame-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-max-file-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-codec)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-audio-codec)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-quality-max)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-quality-240)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-quality-360)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-quality-480)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-quality-720)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-quality-1080)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-quality-1440)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-video-quality-2160)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-filters)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-helpers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-magick-formats)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-keep-metadata)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-auto-formats)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --media-auto-slow)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem)
            opts="-p -h --path --help sqlite sled fjall postgres help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__help)
            opts="sqlite sled fjall postgres help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__help__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__filesystem__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help)
            opts="filesystem object-storage help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__filesystem)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__filesystem__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__filesystem__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__filesystem__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__filesystem__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage)
            opts="sqlite sled fjall postgres"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__help__subcmd__object__subcmd__storage__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage)
            opts="-e -b -r -a -s -u -h --endpoint --bucket-name --region --access-key --secret-key --session-token --instance-credentials --use-path-style --client-timeout --certificate-file --public-endpoint --signed-redirects --tag-healthz --help sqlite sled fjall postgres help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --region)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -r)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --access-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --secret-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --session-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --client-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --public-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --signed-redirects)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__fjall)
            opts="-f -d -h --fjall-path --debug-dump-db-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --fjall-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --debug-dump-db-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help)
            opts="sqlite sled fjall postgres help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__fjall)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__postgres)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__sled)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__help__subcmd__sqlite)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 5 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__postgres)
            opts="-u -t -c -h --url --use-tls --certificate-file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -u)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__sled)
            opts="-p -c -e -h --path --cache-capacity --export-path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cache-capacity)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -c)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --export-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__run__subcmd__object__subcmd__storage__subcmd__sqlite)
            opts="-p -h --path --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -p)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__takeover)
            opts="-a -h --api-key --api-key-file --repo-url --repo-url-file --concurrency --rate --timeout --address --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --api-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api-key-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --repo-url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --repo-url-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --concurrency)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -a)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        pict__subcmd__rs__subcmd__verify__subcmd__clean)
            opts="-h --as-is --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _pict__rs -o nosort -o bashdefault -o default pict-rs
else
    complete -F _pict__rs -o bashdefault -o default pict-rs
fi
