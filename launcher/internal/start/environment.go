package start

import (
	"maps"
	"slices"

	"shellcron.dev/launcher/internal/wire"
)

// environment is the order's. Where the order does not name them, it also has PATH, and what `userEnv` adds. Also returns PATH.
func environment(order *wire.Arm, as *identity) (env []string, path string) {
	all := defaultEnvironment()
	if account := as.accountOrOwn(); order.UserEnv && account != nil {
		all["HOME"], all["SHELL"] = account.home, account.shell
		all["USER"], all["LOGNAME"] = account.name, account.name
	}
	maps.Copy(all, order.Env)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env, all["PATH"]
}
