// FamilyCountTests: parameters and multiply-accumulates of every family against published or independently computed numbers.
// Not here: residual networks (ResNetTests.swift), the families of the papers' own tables (PaperTableTests.swift).
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

final class FamilyCountTests: XCTestCase {
    private func summary(_ family: String, _ options: String) throws -> NetworkSummary {
        try NetworkSummary(Architectures.describe(family, options: Attributes(text: options)))
    }

    private func check(_ family: String, _ counts: [(String, Int)]) throws {
        for (options, count) in counts {
            XCTAssertEqual(try summary(family, options).parameters, count, "\(family) \(options)")
        }
    }

    /// The paper's 34.4M and 68.1M on CIFAR; torchvision's counts on ImageNet.
    func testResNeXt() throws {
        try check(
            "resnext",
            [
                ("depth=29,groups=8,width=64", 34_426_698), ("depth=29,groups=16,width=64", 68_155_210),
                ("depth=50,stem=imagenet,groups=32,width=4,classes=1000", 25_028_904),
                ("depth=101,stem=imagenet,groups=32,width=8,classes=1000", 88_791_336),
                // Without groups and at the residual network's width it is the residual network.
                ("depth=50,stem=imagenet,groups=1,width=64,classes=1000", 25_557_032),
            ])
        assertClose(
            Double(try summary("resnext", "depth=50,stem=imagenet,groups=32,width=4,classes=1000").macs), 4.23e9,
            tolerance: 0.03e9)
    }

    /// Published with three fully connected layers for 224x224 and 1000 classes; with batch norm as torchvision has them.
    func testVGG() throws {
        let size = ",input=224x224x3,classes=1000"
        try check(
            "vgg",
            [
                ("depth=11,norm=no" + size, 132_863_336), ("depth=13,norm=no" + size, 133_047_848),
                ("depth=16,norm=no" + size, 138_357_544), ("depth=19,norm=no" + size, 143_667_240),
                ("depth=11" + size, 132_868_840), ("depth=13" + size, 133_053_736), ("depth=16" + size, 138_365_992),
                ("depth=19" + size, 143_678_248), ("depth=16,hidden=0", 14_728_266),
            ])
        assertClose(Double(try summary("vgg", "depth=16,norm=no" + size).macs), 15.47e9, tolerance: 0.01e9)
    }

    func testSqueezeNet() throws {
        let size = ",input=224x224x3,classes=1000"
        try check("squeezenet", [("version=1.0" + size, 1_248_424), ("version=1.1" + size, 1_235_496)])
        let layers = try summary("squeezenet", "version=1.0" + size).layers
        XCTAssertEqual(layers.first { $0.name == "classifier" }?.outputShape, Shape(n: 1, h: 13, w: 13, c: 1000))
    }
}
