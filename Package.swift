// swift-tools-version: 6.2
// What Renga is built from: one target a room, so that an import that runs upward does not compile.
// Not here: installation, packaging and benchmarks (Makefile, bindings/, Benchmarks/).
import PackageDescription

/// `-fopenmp` cannot come from pkg-config or a module map; the kernels choose their instruction set at run time, so nothing here names one.
/// Loops of unknown length are not unrolled beyond what the kernels say: 0.18 MB of the library, and no slower.
let kernelFlags: [CSetting] = [
    .unsafeFlags([
        "-fopenmp", "-O3", "-mllvm", "-unroll-runtime=false", "-fno-math-errno", "-fvisibility=hidden",
        "-Wall", "-Wextra", "-Wpointer-arith", "-Werror",
    ])
]

/// The engine decides and the kernels compute: its Swift is compiled for size, which keeps the library under its bound. One call of
/// Swift's string processing (`text.contains("abc")`) would link 1.4 MB of regular expressions: without the module it does not compile.
let engineFlags: [SwiftSetting] = [
    .unsafeFlags(["-Xfrontend", "-disable-implicit-string-processing-module-import"]),
    .unsafeFlags(["-Osize"], .when(configuration: .release)),
]

/// The Swift runtime goes into `librenga.so` in release builds only: test bundles need the dynamic one. Functions with the same
/// instructions are kept once (--icf), which takes 2 % off the library. LLD, which comes with the toolchain: gold lists hidden Swift
/// metadata among the dynamic symbols. --wrap leaves out the names of Unicode's characters (RengaC/UnicodeNames.swift), 7 % more, and
/// RengaC/sections.ld tables that nothing reads, 12 %; the other one lets older systems load it (RengaC/OlderSystems.swift).
let libraryFlags: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-static-stdlib", "-use-ld=lld", "-Xlinker", "--icf=all", "-Xlinker", "-z", "-Xlinker", "nodelete",
            "-Xlinker", "--wrap=_swift_stdlib_getScalarName", "-Xlinker", "--wrap=hypotf",
            "-Xlinker", "-soname", "-Xlinker", "librenga.so.0",
            "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/RengaC/renga.map",
            "-Xlinker", "--no-eh-frame-hdr", "-Xlinker", "-T\(Context.packageDirectory)/Sources/RengaC/sections.ld",
        ], .when(configuration: .release))
]

let package = Package(
    name: "renga",
    products: [
        .library(name: "renga", type: .dynamic, targets: ["RengaC"]),
        .library(name: "Renga", targets: ["Renga"]),
    ],
    targets: [
        .systemLibrary(name: "CRengaAPI", path: "include"),
        .systemLibrary(name: "CLAPACKE", pkgConfig: "lapacke", providers: [.apt(["liblapacke-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(
            name: "CRengaKernels", cSettings: kernelFlags,
            linkerSettings: [.linkedLibrary("omp5"), .linkedLibrary("m")]),
        .target(name: "RengaNetwork", swiftSettings: engineFlags),

        .target(name: "RengaArchitectures", dependencies: ["RengaNetwork"], swiftSettings: engineFlags),
        .target(name: "RengaRewrites", dependencies: ["RengaNetwork"], swiftSettings: engineFlags),
        .target(name: "RengaLinearAlgebra", dependencies: ["RengaNetwork", "CLAPACKE"], swiftSettings: engineFlags),
        .target(
            name: "RengaData", dependencies: ["RengaNetwork", "RengaFormats", "CRengaKernels", "CZlib"],
            swiftSettings: engineFlags),
        .target(name: "RengaFormats", dependencies: ["RengaNetwork", "CRengaKernels"], swiftSettings: engineFlags),

        .target(
            name: "RengaExecution", dependencies: ["RengaNetwork", "RengaRewrites", "RengaFormats", "CRengaKernels"],
            swiftSettings: engineFlags),
        .target(
            name: "RengaTraining",
            dependencies: ["RengaExecution", "RengaData", "RengaFormats", "CRengaKernels"], swiftSettings: engineFlags),

        .target(
            name: "Renga",
            dependencies: [
                "RengaNetwork", "RengaArchitectures", "RengaRewrites", "RengaData", "RengaFormats", "RengaExecution",
                "RengaTraining", "CRengaKernels",
            ], swiftSettings: engineFlags),
        .target(
            name: "RengaC", dependencies: ["Renga", "CRengaAPI", "CRengaKernels"],
            exclude: ["renga.map", "sections.ld"],
            swiftSettings: engineFlags,
            linkerSettings: libraryFlags),

        .target(name: "TestSupport", dependencies: ["RengaNetwork"], path: "Tests/TestSupport"),
        .testTarget(name: "KernelTests", dependencies: ["CRengaKernels"]),
        .testTarget(name: "RengaNetworkTests", dependencies: ["RengaNetwork", "TestSupport"]),
        .testTarget(
            name: "RengaCTests", dependencies: ["RengaNetwork", "RengaExecution", "CRengaAPI", "CRengaKernels"]),
        .testTarget(name: "RengaArchitecturesTests", dependencies: ["RengaArchitectures", "TestSupport"]),
        .testTarget(name: "RengaRewritesTests", dependencies: ["RengaRewrites", "RengaArchitectures", "TestSupport"]),
        .testTarget(name: "RengaLinearAlgebraTests", dependencies: ["RengaLinearAlgebra", "TestSupport"]),
        .testTarget(name: "RengaDataTests", dependencies: ["RengaData", "CZlib", "TestSupport"]),
        .testTarget(name: "RengaFormatsTests", dependencies: ["RengaFormats", "RengaArchitectures", "TestSupport"]),
        .testTarget(
            name: "RengaExecutionTests",
            dependencies: ["RengaExecution", "RengaFormats", "RengaArchitectures", "TestSupport"]),
        .testTarget(name: "RengaTrainingTests", dependencies: ["RengaTraining", "RengaArchitectures", "TestSupport"]),
    ],
    cLanguageStandard: .gnu11
)
