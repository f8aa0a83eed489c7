// PaperTableTests: parameters and multiply-accumulates of every network in the papers' tables, as computed from the definitions.
// Not here: families that the papers only compare with (FamilyCountTests.swift).
import RengaArchitectures
import RengaNetwork
import TestSupport
import XCTest

final class PaperTableTests: XCTestCase {
    private func summary(_ family: String, _ options: String) throws -> NetworkSummary {
        try NetworkSummary(Architectures.describe(family, options: Attributes(text: options)))
    }

    /// Zhao et al.: L residual branches, widening w, classes; ResNet of depth 2 L + 2, inception-like and merge-and-run ones of L + 2.
    func testMergeAndRunTable() throws {
        let rows: [(l: Int, widen: Int, classes: Int, resnet: Int, inception: Int, dmrnet: Int)] = [
            (6, 1, 10, 175_258, 152_218, 154_970), (12, 1, 10, 369_690, 346_650, 349_402),
            (18, 1, 10, 564_122, 541_082, 543_834), (24, 1, 10, 758_554, 735_514, 738_266),
            (30, 1, 10, 952_986, 929_946, 932_698), (48, 1, 10, 1_536_282, 1_513_242, 1_515_994),
            (54, 1, 10, 1_730_714, 1_707_674, 1_710_426), (54, 1, 100, 1_736_564, 1_713_524, 1_716_276),
            (96, 1, 10, 3_091_738, 3_068_698, 3_071_450), (30, 4, 10, 15_178_314, 14_809_674, 14_851_402),
            (30, 4, 100, 15_201_444, 14_832_804, 14_874_532), (48, 4, 10, 24_478_794, 24_110_154, 24_151_882),
            (48, 4, 100, 24_501_924, 24_133_284, 24_175_012),
        ]
        for row in rows {
            let rest = "widen=\(row.widen),classes=\(row.classes)"
            let name = "L = \(row.l), \(rest)"
            XCTAssertEqual(
                try summary("resnet", "depth=\(2 * row.l + 2),shortcut=project," + rest).parameters, row.resnet, name)
            XCTAssertEqual(try summary("inception", "depth=\(row.l + 2)," + rest).parameters, row.inception, name)
            XCTAssertEqual(try summary("dmrnet", "depth=\(row.l + 2)," + rest).parameters, row.dmrnet, name)
        }
    }

    /// K streams at L = 36; with one it is the residual network of depth 74.
    func testStreamTable() throws {
        for (branches, count) in [(1, 1_147_418), (2, 1_127_130), (3, 1_106_842), (4, 1_086_554), (6, 1_045_978)] {
            let options = "depth=\(72 / branches + 2),branches=\(branches)"
            XCTAssertEqual(try summary("dmrnet", options).parameters, count, options)
        }
    }

    /// The three ImageNet variants and the residual network beside the first.
    func testImageNetTable() throws {
        for (family, depth, count) in [
            ("dmrnet", 44, 43_338_024), ("resnet", 101, 44_549_160), ("dmrnet", 50, 46_395_048),
            ("resnet", 98, 45_047_464),
        ] {
            let options = "depth=\(depth),stem=imagenet,classes=1000"
            XCTAssertEqual(try summary(family, options).parameters, count, family + " " + options)
        }
    }

    /// Millions, as the table rounds them.
    func testMergeAndRunWork() throws {
        let rows: [(l: Int, widen: Int, unit: Double, resnet: Double, inception: Double, dmrnet: Double)] = [
            (54, 1, 0.01, 253.15, 250.79, 251.05), (30, 4, 1, 2233, 2195, 2200), (48, 4, 1, 3592, 3554, 3559),
        ]
        for row in rows {
            let networks = [
                ("resnet", "depth=\(2 * row.l + 2),shortcut=project", row.resnet),
                ("inception", "depth=\(row.l + 2)", row.inception), ("dmrnet", "depth=\(row.l + 2)", row.dmrnet),
            ]
            for (family, options, millions) in networks {
                let macs = Double(try summary(family, options + ",widen=\(row.widen)").macs)
                assertClose(macs / 1e6, millions, tolerance: row.unit / 2 + 1e-9, "\(family) \(options)")
            }
        }
    }

    /// Han et al.; alpha is the total widening. Each row: options, all parameters with 10 classes, with 100 (0 = not given), without batch
    /// norm's with 10. ImageNet's rows have 1000 classes throughout.
    func testPyramidTable() throws {
        let rows: [(options: String, all: Int, hundred: Int, withoutNorm: Int)] = [
            ("depth=8,alpha=12", 30_306, 32_916, 0), ("depth=20,alpha=18", 111_870, 115_020, 0),
            ("depth=20,alpha=48", 310_845, 316_695, 0), ("depth=38,alpha=36", 425_250, 430_020, 0),
            ("depth=56,alpha=54", 1_045_782, 1_052_172, 0), ("depth=110,alpha=48", 1_772_706, 1_778_556, 1_759_538),
            ("depth=110,alpha=84", 3_904_446, 3_913_536, 3_885_338),
            ("depth=110,alpha=270", 28_485_477, 28_511_307, 28_435_679),
            ("depth=182,alpha=150", 16_626_381, 16_641_411, 16_576_727),
            ("depth=110,alpha=4.75,widening=mul", 1_762_206, 1_769_136, 1_749_488),
            ("depth=110,alpha=8,widening=mul", 3_876_547, 3_888_157, 3_858_663),
            ("depth=110,alpha=27,widening=mul", 28_361_693, 28_400_663, 28_319_491),
            ("depth=164,alpha=48,block=bottleneck", 1_715_442, 1_738_572, 1_671_698),
            ("depth=164,alpha=84,block=bottleneck", 3_757_494, 3_793_584, 3_693_950),
            ("depth=164,alpha=270,block=bottleneck", 27_216_021, 27_319_071, 27_050_177),
            ("depth=200,alpha=240,block=bottleneck", 26_752_702, 26_844_952, 26_570_718),
            ("depth=236,alpha=220,block=bottleneck", 26_969_046, 27_054_096, 26_770_222),
            ("depth=272,alpha=200,block=bottleneck", 26_210_842, 26_288_692, 25_999_978),
            ("depth=200,alpha=300,stem=imagenet,classes=1000", 62_368_168, 0, 62_082_432),
            ("depth=200,alpha=450,stem=imagenet,classes=1000", 116_775_213, 0, 116_388_977),
            ("depth=101,alpha=360,stem=imagenet,classes=1000", 42_455_070, 0, 42_290_174),
        ]
        for row in rows {
            let found = try summary("pyramidnet", row.options)
            XCTAssertEqual(found.parameters, row.all, row.options)
            let norm = found.layers.filter { $0.op == BatchNorm.name }.reduce(0) { $0 + $1.parameters }
            if row.withoutNorm != 0 { XCTAssertEqual(found.parameters - norm, row.withoutNorm, row.options) }
            guard row.hundred != 0 else { continue }
            XCTAssertEqual(try summary("pyramidnet", row.options + ",classes=100").parameters, row.hundred, row.options)
        }
    }

    /// Millions, as the list rounds them.
    func testPyramidWork() throws {
        for (depth, alpha, millions, unit) in [
            (20, 18, 34.1, 0.1), (110, 48, 403.8, 0.1), (110, 84, 772.2, 0.1), (110, 270, 4718, 1), (182, 150, 2946, 1),
        ] {
            let macs = Double(try summary("pyramidnet", "depth=\(depth),alpha=\(alpha)").macs)
            assertClose(macs / 1e6, millions, tolerance: unit / 2, "\(depth), \(alpha)")
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

    /// Last widths of the table, which the map before the classifier has.
    func testPyramidLastWidths() throws {
        for (options, width) in [
            ("depth=8,alpha=12", 28), ("depth=20,alpha=18", 34), ("depth=110,alpha=270", 286),
            ("depth=110,alpha=4.75,widening=mul", 76), ("depth=110,alpha=27,widening=mul", 432),
            ("depth=164,alpha=48,block=bottleneck", 256), ("depth=272,alpha=200,block=bottleneck", 864),
            ("depth=200,alpha=450,stem=imagenet", 2056), ("depth=101,alpha=360,stem=imagenet", 1696),
        ] {
            let layers = try summary("pyramidnet", options).layers
            XCTAssertEqual(layers.first { $0.name == "pool" }?.outputShape.c, width, options)
        }
    }
}
