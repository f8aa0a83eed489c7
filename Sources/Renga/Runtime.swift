// Runtime.swift: what runs here: instruction set, threads, compiler.
// Not here: how they are found (CRengaKernels).
import CRengaKernels
import RengaNetwork

/// The machine and the build, as far as a report of a problem needs them.
public enum Runtime {
    /// The instruction set that the kernels use: "amx", "avx512_bf16", "avx512", "avx2", "generic" or "reference".
    public static var isa: String { String(cString: rk_isa_name(rk_isa_best())) }

    /// The default number of threads: min(affinity, cgroup quota, OMP_NUM_THREADS, RENGA_NUM_THREADS).
    public static var defaultThreads: Int { Int(rk_default_threads()) }

    /// "release", or "debug" with its checks.
    static var mode: String {
        #if DEBUG
            "debug"
        #else
            "release"
        #endif
    }

    /// The system and processor that the library was built for.
    static var platform: String {
        #if arch(x86_64)
            "linux-x86_64"
        #elseif arch(arm64)
            "linux-aarch64"
        #else
            "linux"
        #endif
    }

    /// `{"version","isa","threads","build":{"compiler","mode","platform"}}`.
    package static func description(version: String) -> JSON {
        [
            "version": .text(version), "isa": .text(isa), "threads": .integer(defaultThreads),
            "build": [
                "compiler": .text(String(cString: rk_compiler())), "mode": .text(mode), "platform": .text(platform),
            ],
        ]
    }
}
