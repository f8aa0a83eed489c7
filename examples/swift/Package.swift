// swift-tools-version: 6.2
// A Swift program that uses Renga as a package: `swift run` in this folder. In a package of your own name the repository's address
// instead of the path. Not here: the library for C (examples/c).
import PackageDescription

let package = Package(
    name: "quadrants",
    dependencies: [.package(name: "renga", path: "../..")],
    targets: [
        .executableTarget(name: "Quadrants", dependencies: [.product(name: "Renga", package: "renga")])
    ]
)
