// BranchedNetworkTests: how merge-and-run and inception-like networks join their branches; path lengths of the papers.
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

final class BranchedNetworkTests: XCTestCase {
    private func structure(_ family: String, _ options: String) throws -> NetworkStructure {
        try Architectures.describe(family, options: Attributes(text: options)).structure
    }

    private func sources(_ structure: NetworkStructure, _ name: String) throws -> [String] {
        let node = try XCTUnwrap(structure.nodes.first { $0.name == name }, name)
        return node.inputs.map { structure.name(of: $0) }
    }

    func testStreamsMeetInTheirMean() throws {
        let net = try structure("dmrnet", "depth=14,branches=3")
        // All streams begin as the stem, which is its own mean.
        XCTAssertEqual(try sources(net, "stage1.block1.add2"), ["stage1.block1.branch2.bn2", "stem.relu1"])
        XCTAssertEqual(
            try sources(net, "stage1.block2.mean"), (1...3).map { "stage1.block1.relu\($0)" })
        XCTAssertEqual(
            try sources(net, "stage1.block2.add3"), ["stage1.block2.branch3.bn2", "stage1.block2.mean"])
        XCTAssertEqual(try sources(net, "stage1.block2.branch3.conv1"), ["stage1.block1.relu3"])
        // Where the width changes each stream has its projection.
        XCTAssertEqual(
            try sources(net, "stage2.block1.mean"), (1...3).map { "stage2.block1.shortcut\($0).bn" })
        XCTAssertEqual(
            try sources(net, "stage3.block2.add"),
            (1...3).map { "stage3.block2.branch\($0).bn2" } + ["stage3.block2.mean"])
        XCTAssertEqual(try sources(net, "pool"), ["stage3.block2.relu"])
    }

    func testCollapse() throws {
        let twice = try structure("dmrnet", "depth=8,collapse=twice")
        XCTAssertEqual(
            try sources(twice, "stage3.block1.add"),
            ["stage3.block1.branch1.bn2", "stage3.block1.branch2.bn2", "stage3.block1.mean", "stage3.block1.mean"])
        let concat = try structure("dmrnet", "depth=8,collapse=concat")
        XCTAssertEqual(try sources(concat, "join"), ["stage3.block1.relu1", "stage3.block1.relu2"])
        let control = try structure("dmrnet", "depth=8,mapping=identity")
        XCTAssertFalse(control.nodes.contains { $0.op is Mean })
        XCTAssertEqual(
            try sources(control, "stage2.block1.add2"), ["stage2.block1.branch2.bn2", "stage2.block1.shortcut2.bn"])
        XCTAssertEqual(try sources(control, "stage3.block1.add").count, 4)
        let linear = try structure("dmrnet", "depth=8,relu=no")
        XCTAssertEqual(linear.nodes.count { $0.op is ReLU }, 1 + 3 * 2)
    }

    /// The streams of the bare ImageNet form have no shortcut where channels change.
    func testBareForm() throws {
        let net = try structure("dmrnet", "depth=50,stem=imagenet")
        XCTAssertFalse(net.nodes.contains { $0.name.contains("shortcut") || $0.name == "stem.bn1" })
        XCTAssertEqual(try sources(net, "stage1.block1.relu1"), ["stage1.block1.branch1.bn3"])
        XCTAssertEqual(try net.shapes(n: 1)[net.inputs.count + net.nodes.count - 2].c, 4096)
    }

    /// One stream is a residual network: the same operators in the same order.
    func testOneStreamIsAResidualNetwork() throws {
        let single = try structure("dmrnet", "depth=14,branches=1")
        let residual = try structure("resnet", "depth=14,shortcut=project")
        func count(_ structure: NetworkStructure) -> [String: Int] {
            structure.nodes.reduce(into: [:]) { $0[$1.op.name, default: 0] += 1 }
        }
        XCTAssertEqual(count(single), count(residual))
        XCTAssertEqual(
            try NetworkSummary(NetworkDescription(single)).layers.map(\.outputShape),
            try NetworkSummary(NetworkDescription(residual)).layers.map(\.outputShape))
    }

    func testInceptionLikeBlocks() throws {
        let net = try structure("inception", "depth=8,branches=4")
        XCTAssertEqual(
            try sources(net, "stage2.block1.add"),
            (1...4).map { "stage2.block1.branch\($0).bn2" } + ["stage2.block1.shortcut.bn"])
        XCTAssertEqual(try sources(net, "stage1.block1.branch4.conv1"), ["stem.relu1"])
    }
}
