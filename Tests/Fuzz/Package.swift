// swift-tools-version: 6.2
// The fuzz targets: a package of their own, because everything in it is linked with libFuzzer. Built and run by run.sh (make fuzz).
import PackageDescription

let fuzzer: [LinkerSetting] = [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]

let package = Package(
    name: "renga-fuzz",
    dependencies: [.package(name: "renga", path: "../..")],
    targets: [
        .target(name: "FuzzDriver"),
        .executableTarget(
            name: "FuzzFiles", dependencies: ["FuzzDriver", .product(name: "Renga", package: "renga")],
            swiftSettings: [.unsafeFlags(["-parse-as-library"])], linkerSettings: fuzzer),
        .executableTarget(
            name: "FuzzONNX", dependencies: ["FuzzDriver", .product(name: "Renga", package: "renga")],
            swiftSettings: [.unsafeFlags(["-parse-as-library"])], linkerSettings: fuzzer),
        .executableTarget(
            name: "FuzzInterface", dependencies: [.product(name: "renga", package: "renga")],
            cSettings: [
                .unsafeFlags([
                    "-I\(Context.packageDirectory)/../../include", "-fsanitize=fuzzer-no-link", "-Wall", "-Wextra",
                    "-Werror",
                ])
            ],
            linkerSettings: fuzzer),
    ]
)
