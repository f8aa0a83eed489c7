// FamilyCountTests: parameters and multiply-accumulates of every family against published or independently computed numbers.
// Not here: residual networks (ResNetTests.swift).
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

    /// Depths are the networks' own; the counts are those of Zhao et al. (1.7M, 14.9M) worked out from the definitions.
    func testMergeAndRun() throws {
        try check(
            "dmrnet",
            [
                ("depth=8", 154_970), ("depth=14", 349_402), ("depth=20", 543_834), ("depth=26", 738_266),
                ("depth=32", 932_698), ("depth=50", 1_515_994), ("depth=56", 1_710_426),
                ("depth=56,classes=100", 1_716_276), ("depth=98", 3_071_450), ("depth=32,widen=4", 14_851_402),
                ("depth=32,widen=4,classes=100", 14_874_532), ("depth=50,widen=4", 24_151_882),
                ("depth=50,widen=4,classes=100", 24_175_012),
                // K at 36 branches: with one stream it is the residual network.
                ("depth=74,branches=1", 1_147_418), ("depth=38,branches=2", 1_127_130),
                ("depth=26,branches=3", 1_106_842), ("depth=20,branches=4", 1_086_554),
                ("depth=14,branches=6", 1_045_978),
                ("depth=44,stem=imagenet,classes=1000", 43_338_024),
                ("depth=50,stem=imagenet,classes=1000", 46_395_048),
            ])
        XCTAssertEqual(
            try summary("dmrnet", "depth=74,branches=1").macs, try summary("resnet", "depth=74,shortcut=project").macs)
        assertClose(Double(try summary("dmrnet", "depth=56").macs), 251.05e6, tolerance: 0.005e6)
        assertClose(Double(try summary("dmrnet", "depth=32,widen=4").macs), 2200e6, tolerance: 0.5e6)
        assertClose(Double(try summary("dmrnet", "depth=50,widen=4").macs), 3559e6, tolerance: 0.5e6)
    }

    func testInceptionLike() throws {
        try check(
            "inception",
            [
                ("depth=8", 152_218), ("depth=14", 346_650), ("depth=56", 1_707_674),
                ("depth=56,classes=100", 1_713_524),
                ("depth=98", 3_068_698), ("depth=32,widen=4", 14_809_674), ("depth=50,widen=4,classes=100", 24_133_284),
            ])
        assertClose(Double(try summary("inception", "depth=56").macs), 250.79e6, tolerance: 0.005e6)
        assertClose(Double(try summary("inception", "depth=32,widen=4").macs), 2195e6, tolerance: 0.5e6)
    }

    /// Computed from the definition of Han et al.; alpha is the total widening.
    func testPyramid() throws {
        try check(
            "pyramidnet",
            [
                ("depth=8,alpha=12", 30_306), ("depth=8,alpha=12,classes=100", 32_916), ("depth=20,alpha=18", 111_870),
                ("depth=20,alpha=48", 310_845), ("depth=38,alpha=36", 425_250), ("depth=56,alpha=54", 1_045_782),
                ("depth=110,alpha=48", 1_772_706), ("depth=110,alpha=84", 3_904_446),
                ("depth=110,alpha=270,classes=100", 28_511_307), ("depth=182,alpha=150", 16_626_381),
                ("depth=110,alpha=4.75,widening=mul", 1_762_206), ("depth=110,alpha=8,widening=mul", 3_876_547),
                ("depth=110,alpha=27,widening=mul", 28_361_693), ("depth=164,alpha=48,block=bottleneck", 1_715_442),
                ("depth=164,alpha=84,block=bottleneck", 3_757_494),
                ("depth=164,alpha=270,block=bottleneck", 27_216_021),
                ("depth=200,alpha=240,block=bottleneck", 26_752_702),
                ("depth=236,alpha=220,block=bottleneck", 26_969_046),
                ("depth=272,alpha=200,block=bottleneck", 26_210_842),
                ("depth=200,alpha=300,stem=imagenet,classes=1000", 62_368_168),
                ("depth=200,alpha=450,stem=imagenet,classes=1000", 116_775_213),
                ("depth=101,alpha=360,stem=imagenet,classes=1000", 42_455_070),
            ])
        for (options, macs) in [
            ("depth=20,alpha=18", 34.1e6), ("depth=110,alpha=48", 403.8e6), ("depth=110,alpha=84", 772.2e6),
            ("depth=110,alpha=270", 4718e6), ("depth=182,alpha=150", 2946e6),
        ] {
            assertClose(Double(try summary("pyramidnet", options).macs) / macs, 1, tolerance: 0.0015, options)
        }
    }

    /// Widths of the authors' code: 110/48 starts 17,18,19,20,20,21,22 and ends 62,63,64; 182/150 starts 18,19,21,23,24,26,28.
    func testPyramidWidths() throws {
        func widths(_ options: String) throws -> [Int] {
            try summary("pyramidnet", options).layers.filter { $0.name.hasSuffix(".conv2") }.map(\.outputShape.c)
        }
        let small = try widths("depth=110,alpha=48")
        XCTAssertEqual(Array(small.prefix(7)), [17, 18, 19, 20, 20, 21, 22])
        XCTAssertEqual(Array(small.suffix(3)), [62, 63, 64])
        let large = try widths("depth=182,alpha=150")
        XCTAssertEqual(Array(large.prefix(7)), [18, 19, 21, 23, 24, 26, 28])
        XCTAssertEqual(Array(large.suffix(3)), [163, 164, 166])
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
