"""What the detector sees in pictures: from the manifest where it has looked before, else from the detector itself."""
from object_detection.preparation import coco
from object_detection.preparation.detector import Detector, class_names, digest, saved_model
from object_detection.utils.errors import UserError

WHENCE = ('--coco FOLDER names a detector that finds them (python -m object_detection.zoo download NAME brings one), '
          '--boxes whole takes whole pictures, and boxes drawn by hand are read (docs/data.md)')


class Detections:
    """All that a run knows of its detector. names: {class id: name}. classes: ids that may be a box, None for any.

    With --boxes whole, or without --coco, there is no detector, and everything here is empty.
    """

    def __init__(self, options, manifest, stack):
        """stack: the ExitStack that ends the detector's process."""
        self._options, self._manifest, self._stack = options, manifest, stack
        self.detector, self.names, self.classes = None, {}, None
        self._folder = self._digest = None
        if options.boxes != 'whole' and options.coco:
            self._folder = saved_model(options.coco)
            self.names = class_names(self._folder)
            self.classes = coco.wanted(options.coco_class, self.names)
            self._digest = digest(self._folder)

    def start(self):
        """Let the detector load while pictures are read."""
        if self._folder and not self.detector:
            self.detector = self._stack.enter_context(Detector(self._folder, self._options.detector_batch))

    def look_at(self, pictures, progress):
        """Show the detector those Pictures it has not seen yet; UserError if they need one and there is none."""
        if not self._folder:
            if pictures and self._options.boxes != 'whole':
                raise UserError(f'{len(pictures)} pictures have no box, {pictures[0].path} for example: {WHENCE}')
            return
        seen = self.found()
        new = {picture.jpg_sha256: picture for picture in pictures if picture.jpg_sha256 not in seen}
        if not new:
            return
        self.start()
        with progress('loading the detector'):
            self.detector.ready()
        with progress('detecting', len(new), 'pictures') as bar:
            for batch in self.detector.detect(list(new.values()), self._options.output):
                self._manifest.keep_detections(self._digest, batch)
                bar.update(self.detector.pictures, busy=f'{self.detector.utilisation:.0%}')

    def found(self):
        """{jpg_sha256: JSON text}, see Manifest.detections."""
        return self._manifest.detections(self._digest) if self._folder else {}
