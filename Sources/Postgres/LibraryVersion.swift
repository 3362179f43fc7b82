import CLibPQ

/// The version of libpq that this process runs on, such as `15.8`.
package let libpqVersion: String = {
    // PostgreSQL 15 manual, 34.2: since version 10 the major number times 10,000 and the minor one.
    let number = PQlibVersion()
    return "\(number / 10_000).\(number % 10_000)"
}()
