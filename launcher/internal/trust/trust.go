// Package trust judges the state directory, as platform/trust.ts does for the agent: nobody but this user and root may own, write or
// replace what the launcher obeys and writes.
package trust

// Owners are the users who may own a path, besides root and the user of this process.
type Owners []int
