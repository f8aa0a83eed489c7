// Augmentation.swift: the random changes that a training image gets, drawn for each (seed, epoch, image) on its own.
// Drawn so, they do not depend on the order of images, the batch size or the number of threads, and a resumed run gets the same.
// Not here: the pixels (rk_augment_image).
import RengaNetwork

/// Which random changes training images get: a crop of the padded image, a mirror image.
public struct Augmentation: Sendable, Equatable {
    /// Pixels of mean colour put around the image before a crop of the original size is taken at random; 0 = no crop.
    public let pad: Int
    /// Mirror left-right with probability 1/2.
    public let flips: Bool

    /// Images as they are.
    public static let none = Augmentation()

    private init() {
        pad = 0
        flips = false
    }

    /// Errors: invalidArgument for a pad outside 0...``largestPad``.
    public init(pad: Int, flips: Bool) throws(RengaError) {
        guard (0...Augmentation.largestPad).contains(pad) else {
            throw RengaError(.invalidArgument, "pad \(pad) is not in 0...\(Augmentation.largestPad)")
        }
        self.pad = pad
        self.flips = flips
    }

    /// Largest pad: beyond any image's own size it only makes empty crops.
    public static let largestPad = 1024

    /// One image's draw. `top` and `left` in 0 ... 2 `pad`; `pad` is the middle.
    struct Draw: Equatable {
        let top: Int
        let left: Int
        let isFlipped: Bool
    }

    /// The draw for image `image` of the set in `epoch`: one block of four words of the epoch's stream each.
    func draw(seed: UInt64, epoch: Int, image: Int) -> Draw {
        var stream = RandomStream(
            seed: seed, purpose: .augmentation, stream: UInt64(epoch), position: 4 * UInt64(image))
        let top = Int(stream.integer(below: UInt32(2 * pad + 1)))
        let left = Int(stream.integer(below: UInt32(2 * pad + 1)))
        return Draw(top: top, left: left, isFlipped: flips && stream.word() >> 31 == 1)
    }
}
