// The etcd server. Its own module cannot be installed by version, because it replaces its siblings by folders.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
