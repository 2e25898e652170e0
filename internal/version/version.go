// Package version has the version of this project, which the command and the plugin's log name.
package version

// Version is a semantic version without a leading v: that of the release, or of the next one
// with the suffix -dev. Its entry in CHANGELOG.md is [Unreleased] in the latter case.
const Version = "0.1.0-dev"
