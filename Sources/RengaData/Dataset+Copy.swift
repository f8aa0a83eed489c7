// Dataset+Copy.swift: images of a set as plain numbers, for hosts that want to look at them.
// Not here: normalisation and augmentation (what training sees).
import CRengaKernels

extension Dataset {
    /// Copies all images as f32 `[N,H,W,C]`: u8 as 0 … 255, f32 as they are. `dst` holds `shape.count` elements.
    public func copyImages(to dst: UnsafeMutablePointer<Float>) {
        withImages { images in
            var arguments = rk_image_import_args(
                n: Int64(shape.n), h: Int64(shape.h), w: Int64(shape.w), c: Int64(shape.c), src: images.baseAddress,
                element: element.kernelCode, layout: layout.kernelCode, mean: nil, scale: nil, type: RK_F32, dst: dst)
            // A team of one: the calling thread.
            var alone = rk_team(tid: 0, nth: 1, barrier: nil)
            rk_image_import(&arguments, &alone)
        }
    }
}
