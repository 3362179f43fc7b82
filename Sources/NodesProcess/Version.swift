import CNodesBuild
import ChannelHost
import Cryptography
import Postgres

extension NodesProcess {
    /// The commit that this program was built from, `-modified` behind it where the tree was not as it was
    /// committed, or `unknown`: `scripts/record-commit` tells the build.
    public static let commit = String(cString: nodes_build_commit())

    /// What `--version` prints: this software's version and commit, and the versions of what it runs on.
    public static let versionText = """
        \(version) (commit \(commit))
        Swift \(runtimeSwiftVersion), libpq \(libpqVersion), \(libcryptoVersion)
        """
}
