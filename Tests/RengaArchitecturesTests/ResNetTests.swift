// ResNetTests: parameter and MAC counts against the published ones, the graph's shape, and options that must be refused.
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

final class ResNetTests: XCTestCase {
    private func summary(_ options: String) throws -> NetworkSummary {
        try NetworkSummary(Architectures.describe("resnet", options: Attributes(text: options)))
    }

    /// Counts of He et al. (0.27M, 0.85M, 1.7M; 11.7M, 25.6M …), exact as computed from the definitions and as torchvision has them.
    func testParameterCounts() throws {
        let published: [(String, Int)] = [
            ("depth=20", 269_722), ("depth=32", 464_154), ("depth=44", 658_586), ("depth=56", 853_018),
            ("depth=110", 1_727_962),
            // He et al. 2016: 1.7M and 10.2M (they project without batch norm); 1202 layers: 19.4M.
            ("depth=164,order=pre,block=bottleneck,shortcut=project", 1_703_258),
            ("depth=1001,order=pre,block=bottleneck,shortcut=project", 10_327_706), ("depth=1202", 19_421_274),
            ("depth=18,stem=imagenet,classes=1000", 11_689_512), ("depth=34,stem=imagenet,classes=1000", 21_797_672),
            ("depth=50,stem=imagenet,classes=1000", 25_557_032), ("depth=101,stem=imagenet,classes=1000", 44_549_160),
            ("depth=152,stem=imagenet,classes=1000", 60_192_808),
        ]
        for (options, count) in published { XCTAssertEqual(try summary(options).parameters, count, options) }
    }

    func testMultiplyAccumulates() throws {
        XCTAssertEqual(try summary("depth=20").macs, 40_551_040)
        assertClose(Double(try summary("depth=56").macs), 125.5e6, tolerance: 0.1e6)
        assertClose(Double(try summary("depth=50,stem=imagenet,classes=1000").macs), 4.09e9, tolerance: 0.005e9)
        assertClose(Double(try summary("depth=18,stem=imagenet,classes=1000").macs), 1.814e9, tolerance: 0.001e9)
    }
}

extension ResNetTests {
    private func network(_ options: String) throws -> Network {
        try Architectures.make("resnet", options: Attributes(text: options), seed: 1)
    }

    func testGraphOfPostActivation() throws {
        let structure = try network("depth=8").structure
        let names = structure.nodes.map(\.name)
        XCTAssertEqual(Array(names.prefix(3)), ["stem.conv1", "stem.bn1", "stem.relu1"])
        let start = try XCTUnwrap(names.firstIndex(of: "stage2.block1.conv1"))
        XCTAssertEqual(
            Array(names[start..<(start + 9)]).map { String($0.dropFirst("stage2.block1.".count)) },
            ["conv1", "bn1", "relu1", "conv2", "bn2", "shortcut.subsample", "shortcut.pad", "add", "relu"])
        let add = structure.nodes[start + 7]
        XCTAssertEqual(add.inputs.map { structure.name(of: $0) }, ["stage2.block1.bn2", "stage2.block1.shortcut.pad"])
        XCTAssertEqual((structure.nodes[start + 6].op as? ChannelPad)?.after, 16)
        XCTAssertEqual(try structure.shapes(n: 1)[structure.value(ofNode: start + 8)], Shape(n: 1, h: 16, w: 16, c: 32))
    }

    /// Pre-activation: stage 1 adds the stem's own output; projections read the activated map and have no batch norm.
    func testGraphOfPreActivation() throws {
        let padded = try network("depth=8,order=pre").structure
        let padNames = padded.nodes.map(\.name)
        XCTAssertFalse(padNames.contains("stem.bn1"))
        let add = try XCTUnwrap(padded.nodes.first { $0.name == "stage1.block1.add" })
        XCTAssertEqual(add.inputs.map { padded.name(of: $0) }, ["stage1.block1.conv2", "stem.conv1"])
        XCTAssertEqual(Array(padNames.suffix(4)), ["bn_last", "relu_last", "pool", "fc"])
        let projected = try network("depth=8,order=pre,shortcut=project").structure
        let shortcut = try XCTUnwrap(projected.nodes.first { $0.name == "stage2.block1.shortcut.conv" })
        XCTAssertEqual(shortcut.inputs.map { projected.name(of: $0) }, ["stage2.block1.relu1"])
        XCTAssertFalse(projected.nodes.contains { $0.name == "stage2.block1.shortcut.bn" })
        XCTAssertFalse(projected.nodes.contains { $0.name == "stage2.block1.shortcut.subsample" })
    }

    func testBranchesCanBeginAtZero() throws {
        let post = try network("depth=8,zero_init_residual=yes")
        XCTAssertEqual(Set(try XCTUnwrap(post.parameters["stage3.block1.bn2.gamma"]).tensor.values), [0])
        XCTAssertEqual(Set(try XCTUnwrap(post.parameters["stage3.block1.bn1.gamma"]).tensor.values), [1])
        let pre = try network("depth=11,order=pre,block=bottleneck,zero_init_residual=yes")
        XCTAssertEqual(Set(try XCTUnwrap(pre.parameters["stage1.block1.conv3.weight"]).tensor.values), [0])
        XCTAssertGreaterThan(Set(try XCTUnwrap(pre.parameters["stage1.block1.conv2.weight"]).tensor.values).count, 9)
    }

    func testSizesFollowTheInput() throws {
        let shapes = try NetworkSummary(Architectures.describe("resnet", options: ["depth": "50", "stem": "imagenet"]))
        XCTAssertEqual(shapes.inputs[0].shape, Shape(n: 1, h: 224, w: 224, c: 3))
        XCTAssertEqual(shapes.layers.first { $0.name == "stem.pool" }?.outputShape, Shape(n: 1, h: 56, w: 56, c: 64))
        XCTAssertEqual(
            shapes.layers.first { $0.name == "stage4.block3.relu" }?.outputShape, Shape(n: 1, h: 7, w: 7, c: 2048))
        let odd = try NetworkSummary(Architectures.describe("resnet", options: ["depth": "8", "input": "29x33x1"]))
        XCTAssertEqual(
            odd.layers.first { $0.name == "stage3.block1.relu" }?.outputShape, Shape(n: 1, h: 8, w: 9, c: 64))
    }
}
