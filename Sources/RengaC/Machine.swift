// Machine.swift: version and machine: what this library is and what it runs on.
// Not here: how threads and instruction sets are found (CRengaKernels).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import CRengaKernels
import Glibc
import Renga
import RengaExecution
import RengaNetwork

/// The version of the header that this library was built with.
let versionText = "\(RENGA_VERSION_MAJOR).\(RENGA_VERSION_MINOR).\(RENGA_VERSION_PATCH)"

/// The version as C text, made once and never freed.
private nonisolated(unsafe) let versionPointer: UnsafePointer<CChar>? = UnsafePointer(
    versionText.withCString { strdup($0) })

@c @implementation
public func renga_version() -> UnsafePointer<CChar>? {
    versionPointer ?? staticText("")
}

@c @implementation
public func renga_version_number() -> Int32 {
    RENGA_VERSION_MAJOR * 10000 + RENGA_VERSION_MINOR * 100 + RENGA_VERSION_PATCH
}

@c @implementation
public func renga_version_check(_ header_version_number: Int32) -> renga_status {
    guarded { () throws(RengaError) in
        let header = try number(header_version_number, "header_version_number", in: 1...999_999)
        let headerText = "\(header / 10000).\(header / 100 % 100).\(header % 100)"
        // A patch adds nothing to the interface: a header of a newer one asks for nothing that this library lacks.
        if header / 100 > Int(renga_version_number()) / 100 {
            throw RengaError(
                .unsupported,
                "the library (\(versionText)) is older than the header (\(headerText)): update the library")
        }
        if header < Int(RENGA_VERSION_OLDEST) {
            throw RengaError(
                .unsupported,
                "the header (\(headerText)) is older than the library (\(versionText)): rebuild the program")
        }
    }
}

@c @implementation
public func renga_runtime_info(_ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in Runtime.description(version: versionText).description }
}

@c @implementation
public func renga_machine_peaks(
    _ threads: Int32, _ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in
        let threads = try number(threads, "threads", in: 0...SessionOptions.mostThreads)
        return try Runtime.measuredPeaks(threads: threads == 0 ? Runtime.defaultThreads : threads)
    }
}

@c @implementation
public func renga_default_threads() -> Int32 {
    rk_default_threads()
}
